// express-session with connect-redis. See ../src/server/mod.rs for what a server must do.

import { createInterface } from "node:readline";

import { RedisStore } from "connect-redis";
import express from "express";
import session from "express-session";
import { createClient } from "redis";

const IDLE = 24 * 60 * 60; // seconds

const client = createClient({ url: `redis://127.0.0.1:${process.argv[2]}` });
await client.connect();

function sessions(rolling) {
  return session({
    // Without `disableTouch`, every read is followed by an EXPIRE.
    store: new RedisStore({ client, ttl: IDLE, disableTouch: !rolling }),
    secret: "the same in each process",
    resave: false,
    saveUninitialized: false,
    rolling,
    cookie: { maxAge: IDLE * 1000 },
  });
}

let users = 1000;
let held = 0;
let release;
const released = new Promise((resolve) => (release = resolve));

const read = (request, response) => {
  const { name, visits } = request.session;
  response.send(`${name} ${visits}`);
};

const app = express();
app.set("etag", false);
app.disable("x-powered-by");
app.get("/rolling", sessions(true), read);
app.use(sessions(false));
app.get("/none", (_, response) => response.send("none"));
app.get("/read", read);
app.get("/write", (request, response) => {
  request.session.visits += 1;
  read(request, response);
});
app.get("/sign-in", (request, response, next) => {
  request.session.regenerate((error) => {
    if (error) return next(error);
    Object.assign(request.session, {
      user: users++,
      name: "Ada Lovelace",
      roles: ["reader", "editor"],
      theme: "dark",
      visits: 0,
    });
    response.send("welcome");
  });
});
app.get("/hold", async (request, response) => {
  held += 1;
  await released;
  read(request, response);
});

app.get("/race/edit/:key/:millis", (request, response) => {
  setTimeout(() => {
    request.session[request.params.key] = 1;
    response.send("edited");
  }, Number(request.params.millis));
});
// A new id for the session; the app keeps the entries itself.
const renew = (key, text) => (request, response, next) => {
  const { cookie, ...entries } = request.session;
  request.session.regenerate((error) => {
    if (error) return next(error);
    Object.assign(request.session, entries, { [key ?? request.params.key]: 1 });
    response.send(text);
  });
};
app.get("/race/renew/:key", renew(undefined, "renewed"));
app.get("/race/sign-in", renew("user", "welcome"));
app.get("/race/sign-out", (request, response, next) => {
  request.session.destroy((error) => (error ? next(error) : response.send("goodbye")));
});
app.get("/race/show", (request, response) => {
  const keys = ["cart", "a", "b", "user"];
  response.send(keys.filter((key) => key in request.session).join(" "));
});

const commands = {
  memory() {
    globalThis.gc();
    const { heapUsed, external } = process.memoryUsage();
    // V8 does not count allocations.
    return `${heapUsed + external} 0`;
  },
  held: () => held,
  release() {
    release();
    return "released";
  },
};

const server = app.listen(0, "127.0.0.1", () => {
  console.log(server.address().port);
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (command) => console.log(commands[command]()));
  lines.on("close", () => process.exit());
});
