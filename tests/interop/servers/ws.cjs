// Events over WebSockets with ws, as its documentation shows it, behind a history in a file.
//
// Environment: PORT, HISTORY (a file of lines "id number", appended to before anybody hears of an event).
const fs = require("node:fs");
const http = require("node:http");
const { WebSocketServer } = require("ws");

/** Each connection is replaced after so long, as servers do it behind a balancer. */
const LIFE_MS = 4000;

const file = process.env.HISTORY;
const lines = fs.existsSync(file) ? fs.readFileSync(file, "utf8").trim().split("\n") : [];
const history = lines.map((line) => line.split(" ").map(Number));

function send(socket, [id, n]) {
  socket.send(JSON.stringify({ id, n }));
}

const server = http.createServer((request, response) => {
  let body = "";
  request.on("data", (chunk) => (body += chunk));
  request.on("end", () => {
    const event = [history.length ? history.at(-1)[0] + 1 : 1, Number(body)];
    fs.appendFileSync(file, event.join(" ") + "\n");
    history.push(event);
    sockets.clients.forEach((socket) => send(socket, event));
    response.writeHead(201).end();
  });
});

const sockets = new WebSocketServer({ server });
sockets.on("connection", (socket, request) => {
  const since = Number(new URL(request.url, "http://localhost").searchParams.get("since"));
  history.filter(([id]) => id > since).forEach((event) => send(socket, event));
  const life = setTimeout(() => socket.close(1001), LIFE_MS);
  socket.on("error", () => socket.terminate());
  socket.on("close", () => clearTimeout(life));
});
server.listen(Number(process.env.PORT), "127.0.0.1");
