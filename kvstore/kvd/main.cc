// kvd: a member of a replicated key-value store that speaks etcd's v3 API.
//
// Exit codes: 0 after SIGTERM or SIGINT, 1 when it cannot start or go on (the
// reason is the last line of the log), 2 for flags that make no sense.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/strings.h"
#include "kvstore/kvd/daemon.h"
#include "kvstore/kvd/flags.h"
#include "kvstore/kvd/log_outputs.h"
#include "kvstore/kvd/manual.h"
#include "kvstore/server/maintenance_service.h"

namespace {

using keel::base::ToStd;

int Main(int argc, char** argv) {
  namespace kv = keel::kvstore;
  absl::StatusOr<kv::ParsedFlags> parsed =
      kv::ParseFlags(std::vector<std::string>(argv + 1, argv + argc), kv::ProcessEnvironment());
  if (!parsed.ok()) {
    std::fprintf(stderr, "kvd: %s\n", std::string(ToStd(parsed.status().message())).c_str());
    return 2;
  }
  if (parsed->help) {
    std::fputs(kv::HelpText().c_str(), stdout);
    return 0;
  }
  if (parsed->version) {
    std::printf("kvd Version: %s\netcd Version: %s\n", KEEL_VERSION, kv::kEtcdVersion);
    return 0;
  }
  if (parsed->man_page) {
    std::fputs(kv::Manual(KEEL_VERSION).c_str(), stdout);
    return 0;
  }
  for (const absl::Status& status :
       {keel::base::SetLogLevel(parsed->config.log_level),
        kv::SetLogOutputs(parsed->config.log_outputs, parsed->log_json)}) {
    if (status.ok()) continue;
    std::fprintf(stderr, "kvd: %s\n", std::string(ToStd(status.message())).c_str());
    return 2;
  }
  if (const char* level = std::getenv("KEEL_TEST_LEVEL"); level != nullptr && *level != '\0') {
    parsed->config.levels = kv::LevelsForTests(static_cast<uint32_t>(std::atoi(level)));
    keel::base::Log().warn("KEEL_TEST_LEVEL is set: this is a program for tests level={}", level);
  }
  for (const std::string& warning : parsed->warnings) keel::base::Log().warn("{}", warning);

  // Before any thread starts, so that all inherit it: signals are waited for, in one place.
  std::signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  const absl::Status done = kv::RunDaemon(parsed->config, signals);
  if (!done.ok()) {
    keel::base::Log().critical("kvd stops: {}", ToStd(done.message()));
    return 1;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) { return Main(argc, argv); }
