// watch.
#include <iostream>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "base/strings.h"
#include "kvstore/kvctl/go_format.h"
#include "kvstore/kvctl/run_command.h"
#include "kvstore/kvctl/session.h"
#include "kvstore/kvctl/txn_parser.h"
#include "kvstore/kvctl/watch_args.h"

namespace keel::kvctl {
namespace {

using etcdserverpb::WatchResponse;

// How long a watch that was established goes on looking for a server.
constexpr base::Duration kReconnectTimeout = std::chrono::minutes(1);

// Several watches (interactive mode) print one at a time.
std::mutex& OutputLock() {
  static std::mutex lock;
  return lock;
}

Outcome RunForEvents(const WatchResponse& response, const std::vector<std::string>& exec_args) {
  for (const auto& event : response.events()) {
    const std::string why = RunCommand(
        exec_args,
        {{"ETCD_WATCH_REVISION", base::StrCat(response.header().revision())},
         {"ETCD_WATCH_EVENT_TYPE", Quote(event.type() == mvccpb::Event::PUT ? "PUT" : "DELETE")},
         {"ETCD_WATCH_KEY", Quote(event.kv().key())},
         {"ETCD_WATCH_VALUE", Quote(event.kv().value())}});
    if (why.empty()) continue;
    std::string quoted;
    for (const std::string& arg : exec_args) quoted += (quoted.empty() ? "" : " ") + Quote(arg);
    return {kExitError, base::StrCat("command [", quoted, "] error (", why, ")")};
  }
  return Success();
}

// Prints until the watch ends.
Outcome Follow(Session& session, kvstore::WatchReader& reader, const WatchRequest& request) {
  const auto printer = session.MakePrinter();
  while (true) {
    const auto response = reader.Next();
    if (!response.ok()) break;
    std::lock_guard lock(OutputLock());
    if (response->events().empty()) {
      std::cout << "progress notify: " << response->header().revision() << "\n";
    }
    printer->Watch(*response);
    std::cout.flush();
    if (printer->unsupported()) return session.Finish(*printer);
    if (request.exec_args.empty()) continue;
    if (Outcome run = RunForEvents(*response, request.exec_args); !run.ok()) return run;
  }
  const kvstore::WatchEnd end = *reader.end();
  if (absl::IsUnavailable(end.status)) return FailWith(end.status);
  std::lock_guard lock(OutputLock());
  std::cerr << "watch was canceled (" << base::ToStd(end.status.message()) << ")" << std::endl;
  WatchResponse last;
  *last.mutable_header() = end.header;
  last.set_canceled(true);
  last.set_compact_revision(end.compact_revision);
  printer->Watch(last);
  std::cout.flush();
  return Fail(kExitInterrupted, "watch is canceled by the server");
}

// A watch of the interactive mode, on a thread of its own.
class Follower {
 public:
  Follower(Session& session, WatchRequest request)
      : request_(std::move(request)),
        reader_(session.client(), request_.key, request_.options),
        thread_([this, &session] {
          const Outcome end = Follow(session, reader_, request_);
          std::lock_guard lock(OutputLock());
          if (!stopping_ && !end.text.empty()) std::cerr << end.text << std::endl;
        }) {}
  ~Follower() { thread_.join(); }

  void RequestProgress() { reader_.RequestProgress(); }
  // The client is about to be closed, and the watch with it.
  void ExpectEnd() { stopping_ = true; }

 private:
  const WatchRequest request_;
  kvstore::WatchReader reader_;
  bool stopping_ = false;  // guarded by OutputLock
  std::thread thread_;
};

Outcome Interact(Session& session) {
  std::vector<std::unique_ptr<Follower>> followers;
  std::string line;
  while (std::getline(std::cin, line)) {
    std::vector<std::string> words;
    if (Outcome split = SplitWords(line, &words); !split.ok()) {
      std::cerr << split.text << std::endl;
      continue;
    }
    if (words.empty()) continue;
    if (words[0] == "progress") {
      if (!followers.empty()) followers.front()->RequestProgress();
      continue;
    }
    if (words[0] != "watch") {
      std::cerr << "Invalid command " << words[0] << " (only support watch)" << std::endl;
      continue;
    }
    if (words.size() < 2) {
      std::cerr << "Invalid command watch (command type or key is not provided)" << std::endl;
      continue;
    }
    WatchRequest request;
    words.erase(words.begin());
    if (Outcome parsed = ParseWatchLine(std::move(words), &request); !parsed.ok()) {
      std::cerr << "Invalid command " << line << " (" << parsed.text.substr(7) << ")" << std::endl;
      continue;
    }
    request.options.reconnect_timeout = kReconnectTimeout;
    followers.push_back(std::make_unique<Follower>(session, std::move(request)));
  }
  {
    std::lock_guard lock(OutputLock());
    for (auto& follower : followers) follower->ExpectEnd();
  }
  session.Disconnect();
  followers.clear();
  return Fail(kExitInvalidInput, "Error reading watch request line: EOF");
}

}  // namespace

void AddWatchVerb(CLI::App& app, Session& session, std::vector<std::string> exec_args,
                  bool separator_seen) {
  CLI::App* verb =
      AddVerb(app, "watch", "Prints the changes of keys as they happen",
              "  kvctl watch color\n"
              "  kvctl watch --prefix config/ --rev 1\n"
              "  kvctl watch color -- sh -c 'echo \"$ETCD_WATCH_KEY is now $ETCD_WATCH_VALUE\"'\n"
              "  kvctl watch -i                     # then: watch color, progress\n"
              "Behind -- stands a command that is run for each event, with ETCD_WATCH_REVISION,\n"
              "ETCD_WATCH_EVENT_TYPE, ETCD_WATCH_KEY and ETCD_WATCH_VALUE in its environment.");
  auto args = std::make_shared<WatchArgs>(verb);
  verb->callback([&session, args, exec_args, separator_seen] {
    session.run = [&session, args, exec_args, separator_seen]() -> Outcome {
      WatchRequest request;
      if (!args->interactive) {
        Outcome parsed = args->ToRequest(exec_args, separator_seen, &request);
        if (!parsed.ok()) return parsed;
      }
      if (Outcome connected = session.Connect(); !connected.ok()) return connected;
      if (args->interactive) return Interact(session);
      request.options.reconnect_timeout = kReconnectTimeout;
      kvstore::WatchReader reader(session.client(), request.key, request.options);
      return Follow(session, reader, request);
    };
  });
}

}  // namespace keel::kvctl
