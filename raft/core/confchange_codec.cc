// The bytes of a kConfChange entry: docs/formats/raft-confchange.md.
#include <limits>

#include "base/check.h"
#include "raft/core/raft.h"

namespace keel::raft {
namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kHeaderBytes = 1 + 1 + 4;
constexpr size_t kChangeBytes = 1 + 8;

void Put(std::string& out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

// Consumes `bytes` little-endian bytes. REQUIRES: that many are there.
uint64_t Get(std::string_view& in, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; ++i) {
    value |= static_cast<uint64_t>(static_cast<uint8_t>(in[i])) << (8 * i);
  }
  in.remove_prefix(bytes);
  return value;
}

absl::Status Malformed(const char* what) {
  return absl::InvalidArgumentError(base::StrCat("malformed membership change: ", what));
}

}  // namespace

std::string EncodeConfChange(const ConfChange& change) {
  constexpr size_t kLimit = std::numeric_limits<uint32_t>::max();
  KEEL_CHECK(change.changes.size() <= kLimit && change.context.size() <= kLimit);
  std::string out;
  out.reserve(kHeaderBytes + change.changes.size() * kChangeBytes + 4 + change.context.size());
  Put(out, kVersion, 1);
  Put(out, static_cast<uint8_t>(change.transition), 1);
  Put(out, change.changes.size(), 4);
  for (const ConfChangeSingle& single : change.changes) {
    Put(out, static_cast<uint8_t>(single.type), 1);
    Put(out, single.node, 8);
  }
  Put(out, change.context.size(), 4);
  out += change.context;
  return out;
}

absl::StatusOr<ConfChange> DecodeConfChange(std::string_view data) {
  if (data.size() < kHeaderBytes + 4) return Malformed("too short");
  if (Get(data, 1) != kVersion) return Malformed("unknown version");
  const uint64_t transition = Get(data, 1);
  if (transition > static_cast<uint8_t>(ConfChange::Transition::kJointExplicit)) {
    return Malformed("unknown transition");
  }
  ConfChange change;
  change.transition = static_cast<ConfChange::Transition>(transition);
  const uint64_t count = Get(data, 4);
  if (data.size() < 4 || count > (data.size() - 4) / kChangeBytes) return Malformed("too short");
  change.changes.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t type = Get(data, 1);
    if (type > static_cast<uint8_t>(ConfChangeSingle::Type::kAddLearner)) {
      return Malformed("unknown kind of change");
    }
    const NodeId node = Get(data, 8);
    change.changes.push_back({static_cast<ConfChangeSingle::Type>(type), node});
  }
  const uint64_t context_bytes = Get(data, 4);
  if (context_bytes != data.size()) return Malformed("length of the context");
  change.context = std::string(data);
  return change;
}

}  // namespace keel::raft
