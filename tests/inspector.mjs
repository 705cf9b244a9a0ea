// The MCP Inspector's command lines run one after another in one process: starting Node for each of hundreds of calls would take minutes.
//
// Reads JSON lines [command, ...arguments] on stdin: `mcp-inspector` is its --cli, which connects anew each time, `mcpdo` its command line for
// connections that stay. Answers each by a JSON line {status, out, err}: exit status, stdout, stderr. Both are found beside `mcp-inspector` on PATH.
import { existsSync, realpathSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

// What the Inspector remembers (connections, headers) stays with the test.
process.env.HOME = process.env.INSPECTOR_HOME;

const launcher = process.env.PATH.split(delimiter).map((folder) => join(folder, "mcp-inspector")).find(existsSync);
const clients = join(dirname(realpathSync(launcher)), "..", "..");
const load = (client, file) => import(pathToFileURL(join(clients, client, "build", file)));
const { runCli } = await load("cli", "index.js");
const { runMcp } = await load("mcpdo", "mcp-bin.js");
const commands = { "mcp-inspector": runCli, mcpdo: runMcp };

const answer = process.stdout.write.bind(process.stdout);
const said = { stdout: [], stderr: [] };
for (const stream of ["stdout", "stderr"]) {
  process[stream].write = (chunk, encoding, done) => {
    said[stream].push(chunk.toString());
    (typeof encoding === "function" ? encoding : done)?.();
    return true;
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  const [command, ...flags] = JSON.parse(line);
  let status = 0;
  try {
    await commands[command](["node", command, ...flags]);
  } catch (error) {
    status = error.exitCode ?? 1;
    said.stderr.push(String(error.message ?? error));
  }
  answer(JSON.stringify({ status, out: said.stdout.splice(0).join(""), err: said.stderr.splice(0).join("") }) + "\n");
}
process.exit(0);
