// The fields of Kubernetes' messages, as types.txt lists them. Internal to this folder.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace keel::orchestrator {

struct MessageField {
  enum class Shape : uint8_t { kOne, kList, kMap, kMapOfLists };
  enum class Type : uint8_t {
    kString,
    kBytes,
    kInt,
    kBool,
    kDouble,
    kMessage,
    // With a form of their own in JSON.
    kTime,
    kMicroTime,
    kQuantity,
    kIntOrString,
    kRaw,
  };
  uint32_t number = 0;
  std::string_view name;  // in JSON; empty: its members stand among its owner's
  Shape shape = Shape::kOne;
  Type type = Type::kString;
  std::string_view message;  // kMessage
  bool omit_zero = false;    // not written in JSON when it is zero or empty
};

class MessageTypes {
 public:
  // Those of types.txt.
  static const MessageTypes& Get();
  // Null when there is none. "core/v1.Pod".
  const std::vector<MessageField>* Find(std::string_view message) const;
  size_t size() const { return messages_.size(); }

 private:
  explicit MessageTypes(std::string_view text);
  absl::flat_hash_map<std::string_view, std::vector<MessageField>> messages_;
};

}  // namespace keel::orchestrator
