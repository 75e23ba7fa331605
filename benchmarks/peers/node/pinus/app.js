// A peer: Pinus, a connector that players reach over TCP and a back server behind it.
// Started once with id=master-server-1, once a server with what config/servers.json says of it.
require("reflect-metadata");
const { pinus } = require("pinus");

const app = pinus.createApp();
app.set("name", "echo");
app.configure("production|development", "connector", () => {
  app.set("connectorConfig", {
    connector: pinus.connectors.hybridconnector,
    heartbeat: 3600,
    useDict: false,
    useProtobuf: false,
  });
});
process.on("uncaughtException", (error) => console.error(error));
app.start();
