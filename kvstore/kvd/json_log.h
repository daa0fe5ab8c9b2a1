// Log lines as etcd's logger (zap) writes them: one JSON object a line, with level, ts and msg, and
// a field for each key=value that the line ends with.
//
//   leader is 8e9e05c5 (this member) term=2
//   {"level":"info","ts":"2026-11-23T01:25:08.393Z","msg":"leader is 8e9e05c5 (this
//   member)","term":"2"}
//
// Thread-safety: functions from any thread; a formatter belongs to its sink.
#pragma once

#include <spdlog/formatter.h>

#include <memory>
#include <string>
#include <string_view>

namespace keel::kvstore {

// `"msg":...` and the fields, with a comma before each field, without braces.
std::string JsonFields(std::string_view line);

class JsonLogFormatter final : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override;
  std::unique_ptr<spdlog::formatter> clone() const override;
};

}  // namespace keel::kvstore
