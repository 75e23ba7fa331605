exports.default = () => ({ echo: async (message) => message });
