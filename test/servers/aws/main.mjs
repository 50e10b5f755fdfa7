// Speaks the SNS and SQS protocols on a SQLite file, by fauxqs. The same flags and the same ways to end as the servers
// in Go have (serve/serve.go).
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";

const { values: flags } = parseArgs({
  options: {
    listen: { type: "string", default: "127.0.0.1:0" },
    anywhere: { type: "boolean", default: false }, // for a container, whose network is its own
    data: { type: "string", default: "" },
    stdin: { type: "boolean", default: false },
  },
});
const [host, port] = flags.listen.split(":");
if (!flags.anywhere && !host.startsWith("127.")) {
  console.error(`--listen ${flags.listen}: these servers are for tests and listen on loopback only (but with --anywhere)`);
  process.exit(1);
}

// fauxqs binds every interface and has no option against it.
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (options, ...rest) {
  return listen.call(this, { ...options, host }, ...rest);
};

const data = flags.data || fs.mkdtempSync(path.join(os.tmpdir(), "cinelog-test-server-"));
fs.mkdirSync(data, { recursive: true });
const end = () => {
  if (!flags.data) fs.rmSync(data, { recursive: true, force: true });
  process.exit(0);
};
process.on("SIGINT", end);
process.on("SIGTERM", end);
if (flags.stdin) process.stdin.resume().on("end", end).on("error", end);

// Kept on disk, a message whose visibility timeout is set to 0 is lost: its count of receives becomes NULL, which the
// table refuses after the message has been taken out.
const { PersistenceManager } = await import("./node_modules/fauxqs/dist/persistence.js");
PersistenceManager.prototype.updateMessageReady = function (id) {
  this.db
    .prepare("UPDATE sqs_messages SET receipt_handle = NULL, visibility_deadline = NULL WHERE message_id = ?")
    .run(id);
};
// A stand-in is killed in tests, and no power fails: a write for each step of each message need not wait for the disk.
const { prepareStatements } = PersistenceManager.prototype;
PersistenceManager.prototype.prepareStatements = function () {
  this.db.exec("PRAGMA synchronous = OFF");
  return prepareStatements.call(this);
};
// SQS takes every character of XML 1.0, also those that JavaScript writes as two.
const { INVALID_MESSAGE_BODY_CHAR } = await import("./node_modules/fauxqs/dist/sqs/sqsTypes.js");
const invalid = /[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/u;
INVALID_MESSAGE_BODY_CHAR.test = (body) => invalid.test(body);

const { startFauxqs } = await import("fauxqs");
const server = await startFauxqs({ port: Number(port), dataDir: data, logger: false });
console.log(JSON.stringify({ url: `http://${host}:${server.port}` }));
