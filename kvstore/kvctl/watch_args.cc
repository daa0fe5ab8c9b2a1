#include "kvstore/kvctl/watch_args.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/strings.h"
#include "kvstore/kvctl/key_args.h"

namespace keel::kvctl {
namespace {

std::string WatchEnvironment(const std::string& name) {
  for (const char* prefix : {"KVCTL_WATCH_", "ETCDCTL_WATCH_"}) {
    const char* value = std::getenv((prefix + name).c_str());
    if (value != nullptr && *value != '\0') return value;
  }
  return "";
}

}  // namespace

WatchArgs::WatchArgs(CLI::App* app) : arguments_(app, {"<key>", "[range_end]"}) {
  app->add_flag("-i,--interactive", interactive,
                "read `watch ...` and `progress` lines from standard input");
  app->add_flag("--prefix", prefix_, "every key that begins with the one given");
  app->add_flag("--prev-kv", prev_kv_, "print what was there before, too");
  app->add_flag("--progress-notify", progress_notify_, "say now and then that nothing happened");
  app->add_option("--rev", revision_, "revision to begin with (0: what happens from now on)");
}

Outcome WatchArgs::ToRequest(std::vector<std::string> exec_args, bool separator,
                             WatchRequest* request) const {
  std::vector<std::string> given = arguments_.Get();
  if (given.empty()) {
    const std::string key = WatchEnvironment("KEY"), end = WatchEnvironment("RANGE_END");
    if (!key.empty()) given.push_back(key);
    if (!key.empty() && !end.empty()) given.push_back(end);
  }
  if (given.empty() || given.size() > 2) return Fail(kExitBadArgs, "bad number of arguments");
  if (separator && exec_args.empty()) {
    return Fail(kExitBadArgs, "bad number of arguments (found separator --, but no commands)");
  }
  if (prefix_ && given.size() > 1) {
    return Fail(kExitBadArgs, "`range_end` and `--prefix` are mutually exclusive");
  }
  request->key = given[0];
  if (given.size() > 1) request->options.range_end = given[1];
  request->options.start_revision = revision_;
  request->options.prev_kv = prev_kv_;
  request->options.progress_notify = progress_notify_;
  request->exec_args = std::move(exec_args);
  return SetRange(prefix_, false, &request->key, &request->options.range_end);
}

Outcome ParseWatchLine(std::vector<std::string> words, WatchRequest* request) {
  std::vector<std::string> exec_args;
  const auto separator = std::find(words.begin(), words.end(), "--");
  const bool separated = separator != words.end();
  if (separated) {
    exec_args.assign(separator + 1, words.end());
    words.erase(separator, words.end());
  }
  std::reverse(words.begin(), words.end());
  CLI::App app;
  WatchArgs args(&app);
  try {
    app.parse(words);
  } catch (const CLI::ParseError& e) {
    return Fail(kExitInvalidInput, e.what());
  }
  return args.ToRequest(std::move(exec_args), separated, request);
}

}  // namespace keel::kvctl
