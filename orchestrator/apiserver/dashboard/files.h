// The page's files, as they lie in the program (embed.cmake writes files.cc).
#pragma once

#include <span>
#include <string_view>

namespace keel::orchestrator {

struct PageFile {
  std::string_view name;  // "app.js"
  const char* begin;
  const char* end;

  std::string_view bytes() const { return {begin, static_cast<size_t>(end - begin)}; }
};

extern const std::span<const PageFile> kPageFiles;

}  // namespace keel::orchestrator
