// What every part of the console takes from the vendored files.

export {
  h, html, render, createContext, useContext, useState, useReducer, useEffect, useLayoutEffect, useRef, useMemo,
  useCallback,
} from "/console/vendor/htm-preact.js";
