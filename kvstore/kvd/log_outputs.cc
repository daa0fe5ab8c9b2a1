#include "kvstore/kvd/log_outputs.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include "base/log.h"
#include "base/strings.h"
#include "kvstore/kvd/json_log.h"

namespace keel::kvstore {

absl::Status SetLogOutputs(const std::vector<std::string>& outputs, bool json) {
  if (outputs.empty()) return absl::InvalidArgumentError("--log-outputs names no output");
  std::vector<spdlog::sink_ptr> sinks;
  for (const std::string& output : outputs) {
    if (output == "default" || output == "stderr") {
      sinks.push_back(std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    } else if (output == "stdout") {
      sinks.push_back(std::make_shared<spdlog::sinks::stdout_color_sink_mt>());
    } else {
      try {
        sinks.push_back(std::make_shared<spdlog::sinks::basic_file_sink_mt>(output));
      } catch (const spdlog::spdlog_ex& error) {
        return absl::InvalidArgumentError(base::StrCat("--log-outputs: ", error.what()));
      }
    }
    if (json) {
      sinks.back()->set_formatter(std::make_unique<JsonLogFormatter>());
    } else {
      sinks.back()->set_pattern("%Y-%m-%dT%H:%M:%S.%f%z %^%l%$ %v");
    }
  }
  base::Log().sinks() = std::move(sinks);
  return absl::OkStatus();
}

}  // namespace keel::kvstore
