// The bytes of one gRPC message on its way out: a private head followed by
// shared, immutable parts. The shared parts let many streams carry the same
// encoded bytes without copying them per stream.
//
//   call->Send(response.SerializeAsString());           // private bytes only
//   auto events = std::make_shared<const std::string>(Encode(events));
//   call->Send(rpc::Message(HeaderFor(watch), events)); // head + shared bytes
//
// The message on the wire is head, then the parts in order. (Protobuf allows
// the fields of a message in any order, so a per-stream header may be put in
// front of shared repeated fields.)
//
// Thread-safety: none; the shared strings must not change once handed over.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "absl/container/inlined_vector.h"

namespace keel::rpc {

struct Message {
  using SharedBytes = std::shared_ptr<const std::string>;

  Message() = default;
  Message(std::string bytes) : head(std::move(bytes)) {}  // NOLINT: implicit on purpose
  Message(std::string head_bytes, SharedBytes part) : head(std::move(head_bytes)) {
    shared.push_back(std::move(part));
  }

  size_t size() const {
    size_t total = head.size();
    for (const SharedBytes& part : shared) total += part->size();
    return total;
  }

  std::string head;
  absl::InlinedVector<SharedBytes, 1> shared;
};

}  // namespace keel::rpc
