// A peer: pinus-rpc with its default (MQTT) transport, one connection, many callers.
//   pinus_rpc.js serve PORT
//   pinus_rpc.js call PORT IN_FLIGHT SECONDS WATCHED_PID
require("reflect-metadata");
const fs = require("fs");
const path = require("path");
const { createServer, RpcClient } = require("pinus-rpc");

const [mode, port, inFlight, seconds, watched] = process.argv.slice(2);
const remote = { namespace: "user", serverType: "test", path: path.join(__dirname, "remote") };
const body = "x".repeat(64);

function cpuOf(pid) {
  const tasks = fs.readdirSync(`/proc/${pid}/task`);
  const of = (task) => Number(fs.readFileSync(`/proc/${pid}/task/${task}/schedstat`, "ascii").split(" ")[0]);
  return tasks.reduce((sum, task) => sum + of(task), 0) / 1e9;
}

async function run(client) {
  let calls = 0;
  let over = false;
  const loop = async () => {
    while (!over) {
      const answer = await client.proxies.user.test.service.echo(null, body);
      if (answer !== body) throw new Error("the echo is not what was sent");
      calls++;
    }
  };
  const loops = Array.from({ length: Number(inFlight) }, loop);
  await new Promise((resolve) => setTimeout(resolve, 1000)); // the compiler warms up
  calls = 0;
  const cpu = [cpuOf(watched), cpuOf("self")];
  const began = process.hrtime.bigint();
  await new Promise((resolve) => setTimeout(resolve, Number(seconds) * 1000));
  const took = Number(process.hrtime.bigint() - began) / 1e9;
  const report = { answers: calls, seconds: took, cpu: [cpuOf(watched) - cpu[0], cpuOf("self") - cpu[1]] };
  over = true;
  await Promise.all(loops);
  console.log(JSON.stringify(report));
  process.exit(0);
}

if (mode === "serve") {
  createServer({ paths: [remote], port: Number(port), interval: 30 }).start();
} else {
  const servers = [{ id: "test-server-1", serverType: "test", host: "127.0.0.1", port: Number(port) }];
  const router = (session, message, context, callback) => callback(null, context[0].id);
  const client = new RpcClient({ routeContext: servers, router, context: { serverId: "caller-1" }, pendingSize: 1e9 });
  client.start((error) => {
    if (error) throw error;
    client.addProxies([remote]);
    client.addServers(servers);
    run(client);
  });
}
