// The method that pinus_rpc.js serves.
exports.default = () => ({ echo: async (value) => value });
