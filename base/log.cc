#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>

#include "base/strings.h"

namespace keel::base {

spdlog::logger& Log() {
  static spdlog::logger& logger = *[] {
    auto* made =
        new spdlog::logger("keel", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%f%z %^%l%$ %v");
    made->flush_on(spdlog::level::info);
    return made;
  }();
  return logger;
}

absl::Status SetLogLevel(std::string_view level) {
  if (level == "debug") {
    Log().set_level(spdlog::level::debug);
  } else if (level == "info") {
    Log().set_level(spdlog::level::info);
  } else if (level == "warn") {
    Log().set_level(spdlog::level::warn);
  } else if (level == "error") {
    Log().set_level(spdlog::level::err);
  } else if (level == "panic" || level == "fatal") {
    Log().set_level(spdlog::level::critical);
  } else {
    return absl::InvalidArgumentError(
        StrCat("unknown log level \"", level, "\"; use debug, info, warn, error, panic or fatal"));
  }
  return absl::OkStatus();
}

}  // namespace keel::base
