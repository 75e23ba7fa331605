// From a JSON Schema to a body that one can begin with.

/** Give an example that fits, with the least that is allowed; undefined where nothing can be said. */
export function example(schema, root = schema, depth = 0) {
  if (!schema || depth > 8) return null;
  if (schema.$ref) return example(resolve(schema.$ref, root), root, depth + 1);
  if (schema.default !== undefined) return schema.default;
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[0];
  const several = schema.anyOf ?? schema.oneOf;
  if (several) return example(several.find((each) => each.type !== "null") ?? several[0], root, depth + 1);
  switch (schema.type) {
    case "object": return object(schema, root, depth);
    case "array": return (schema.prefixItems ?? []).map((item) => example(item, root, depth + 1));
    case "string": return "x".repeat(Math.min(schema.minLength ?? 0, 64));
    case "integer": case "number": return bounded(schema);
    case "boolean": return false;
    default: return null;
  }
}

function object(schema, root, depth) {
  const made = {};
  for (const [name, each] of Object.entries(schema.properties ?? {})) made[name] = example(each, root, depth + 1);
  return made;
}

function bounded({ minimum, exclusiveMinimum, maximum }) {
  const low = minimum ?? (exclusiveMinimum === undefined ? 0 : exclusiveMinimum + 1);
  return maximum !== undefined && low > maximum ? maximum : Math.max(low, maximum !== undefined && maximum < 0 ? maximum : low);
}

const resolve = (reference, root) => reference.replace(/^#\//, "").split("/").reduce((at, part) => at?.[part.replaceAll("~1", "/").replaceAll("~0", "~")], root);
