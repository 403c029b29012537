//! A server on which scripts are run, and what they send to it.

use std::cell::RefCell;
use std::env;

use test_support::redis::RedisServer;
use test_support::resp::{Connection, Reply};

/// The environment variable with the port of a server that one test after the other may empty and use: starting one for
/// each takes longer than the test. `mutants` sets it.
const PORT: &str = "SCRIPTS_REDIS_PORT";

/// What `setup` may use: `store` stores a value whose TTL is that number of milliseconds whenever a script asks for it.
const HELPERS: &str = "
local acl_check_cmd = redis.acl_check_cmd
local function store(key, value, ttl)
  redis.call('SET', key, value, 'PX', 60000)
  replies['PTTL ' .. key] = ttl
end
";

/// Runs before a script, in the same call: records what the script sends in the list `log`, and gives the replies
/// that the test wants for a command, or for a command on a key.
const PRELUDE: &str = "
local server = redis
local function send(how, ...)
  local words = {}
  for index = 1, select('#', ...) do
    local word = select(index, ...)
    words[index] = type(word) == 'number' and string.format('%.17g', word) or tostring(word)
  end
  server.call('RPUSH', 'log', table.concat(words, ' '))
  local reply = replies[words[1]]
  if reply == nil then
    reply = replies[words[1] .. ' ' .. tostring(words[2])]
  end
  if reply ~= nil then
    return reply
  end
  return server[how](...)
end
local redis = {
  call = function(...) return send('call', ...) end,
  pcall = function(...) return send('pcall', ...) end,
  error_reply = server.error_reply,
  sha1hex = server.sha1hex,
  acl_check_cmd = acl_check_cmd,
}
";

/// One call of a script.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Call<'a> {
    pub(crate) script: &'a str,
    /// Lua that runs first, in the same call.
    pub(crate) setup: &'a str,
    /// The fields of a table in Lua: replies by command, or by command and key.
    pub(crate) replies: &'a str,
    pub(crate) keys: &'a [&'a str],
    pub(crate) args: &'a [&'a str],
}

/// What a script has done.
#[derive(Debug)]
pub(crate) struct Done {
    /// The reply: numbers and texts as they are, lists in brackets, `nil`, errors after `error`.
    pub(crate) reply: String,
    /// The commands that it has sent.
    pub(crate) sent: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Server {
    connection: RefCell<Connection>,
    /// A server of its own.
    _server: Option<RedisServer>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let (server, port) = match env::var(PORT) {
            Ok(port) => (None, port.parse().expect("a port")),
            Err(_) => {
                let server = RedisServer::start();
                let port = server.port();
                (Some(server), port)
            }
        };
        let connection = Connection::open(port).expect("the server is running");
        let this = Self {
            connection: RefCell::new(connection),
            _server: server,
        };
        this.send(&["FLUSHALL"]);
        this.send(&["SCRIPT", "FLUSH"]);
        this
    }

    fn send<W: AsRef<[u8]>>(&self, words: &[W]) -> Reply {
        let words: Vec<&[u8]> = words.iter().map(AsRef::as_ref).collect();
        let reply = self.connection.borrow_mut().command(&words);
        reply.expect("the server replies")
    }

    /// Runs a script.
    pub(crate) fn run(&self, call: Call<'_>) -> Done {
        self.run_bytes(call, &[])
    }

    /// The same with an argument that is not text, after the others.
    pub(crate) fn run_bytes(&self, call: Call<'_>, last: &[&[u8]]) -> Done {
        let text = format!(
            "local replies = {{ {} }}\n{HELPERS}\n{}\n{PRELUDE}\n{}",
            call.replies, call.setup, call.script
        );
        let keys = call.keys.len().to_string();
        let mut words: Vec<&[u8]> = vec![b"EVAL", text.as_bytes(), keys.as_bytes()];
        words.extend(
            call.keys
                .iter()
                .chain(call.args)
                .map(|word| word.as_bytes()),
        );
        words.extend(last);
        self.send(&["DEL", "log"]);
        let reply = show(self.send(&words));
        let sent = self.send(&["LRANGE", "log", "0", "-1"]);
        Done {
            reply,
            sent: sent.list().into_iter().map(Reply::text).collect(),
        }
    }

    /// Sends a command of words that are separated by spaces.
    pub(crate) fn command(&self, words: &str) -> String {
        let words: Vec<&str> = words.split(' ').collect();
        show(self.send(&words))
    }

    /// Stores a value that may have spaces, with a TTL of a minute.
    pub(crate) fn set(&self, key: &str, value: &str) {
        self.send(&["SET", key, value, "PX", "60000"]);
    }

    /// The value of a key, or `nil`.
    pub(crate) fn get(&self, key: &str) -> String {
        show(self.send(&["GET", key]))
    }

    /// Whether a key has a TTL that was `millis` a moment ago.
    pub(crate) fn lives_for(&self, key: &str, millis: i64) -> bool {
        let left = self.send(&["PTTL", key]).number();
        left <= millis && left > millis - 10_000
    }
}

impl Done {
    /// The commands that begin with a word.
    pub(crate) fn sent(&self, command: &str) -> Vec<&str> {
        let sent = self.sent.iter().map(String::as_str);
        sent.filter(|sent| sent.split(' ').next() == Some(command))
            .collect()
    }

    /// Whether a script has sent no command that writes.
    pub(crate) fn has_written_nothing(&self) -> bool {
        const WRITES: [&str; 7] = [
            "SET", "SETRANGE", "DEL", "PEXPIRE", "ZADD", "ZREM", "PUBLISH",
        ];
        WRITES.iter().all(|command| self.sent(command).is_empty())
    }
}

fn show(reply: Reply) -> String {
    match reply {
        Reply::Status(text) => text,
        Reply::Error(text) => format!("error {text}"),
        Reply::Number(number) => number.to_string(),
        Reply::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Reply::Nil => "nil".to_owned(),
        Reply::List(items) => {
            let items: Vec<String> = items.into_iter().map(show).collect();
            format!("[{}]", items.join(", "))
        }
    }
}
