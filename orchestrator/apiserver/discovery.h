// What the server offers, for clients that ask first: /api, /apis, /api/v1, /apis/G/V, plain and
// aggregated.
//
// Documents are made when first asked for and again when kinds have come or gone.
// Thread-safety: none.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "orchestrator/api/kind.h"
#include "orchestrator/apiserver/negotiation.h"

namespace keel::orchestrator {

class Discovery {
 public:
  explicit Discovery(const KindRegistry& kinds) : kinds_(kinds) {}

  // nullopt for a path of no group or version that is known. `format` says whether it is to be
  // aggregated (only /api and /apis can be).
  std::optional<json::value> Answer(std::string_view path, const OutputFormat& format) const;

 private:
  json::value Groups() const;
  std::optional<json::value> Group(std::string_view group) const;
  std::optional<json::value> Resources(std::string_view group, std::string_view version) const;
  json::value Aggregated(bool core, std::string_view version) const;

  const KindRegistry& kinds_;
};

}  // namespace keel::orchestrator
