// Events with better-sse, as its documentation shows it, behind a history in a file.
//
// Environment: PORT, HISTORY (a file of lines "id number", appended to before anybody hears of an event).
const fs = require("node:fs");
const http = require("node:http");
const { createSession } = require("better-sse");

const file = process.env.HISTORY;
const lines = fs.existsSync(file) ? fs.readFileSync(file, "utf8").trim().split("\n") : [];
const history = lines.map((line) => line.split(" ").map(Number));
const sessions = new Set();

function push(session, [id, n]) {
  session.push({ n }, "number", String(id));
}

function publish(number) {
  const event = [history.length ? history.at(-1)[0] + 1 : 1, number];
  fs.appendFileSync(file, event.join(" ") + "\n");
  history.push(event);
  sessions.forEach((session) => push(session, event));
}

async function events(request, response) {
  const session = await createSession(request, response, { keepAlive: 1000 });
  const last = Number(session.lastId);
  history.filter(([id]) => id > last).forEach((event) => push(session, event));
  sessions.add(session);
  session.once("disconnected", () => sessions.delete(session));
}

const server = http.createServer((request, response) => {
  if (request.method === "GET") return events(request, response);
  let body = "";
  request.on("data", (chunk) => (body += chunk));
  request.on("end", () => {
    publish(Number(body));
    response.writeHead(201).end();
  });
});
server.listen(Number(process.env.PORT), "127.0.0.1");
