// JSON and Protobuf, as grpc-gateway maps one to the other for etcd.
//
// Thread-safety: functions from any thread; JsonValues none.
#pragma once

#include <google/protobuf/message.h>

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace keel::kvstore {

// The HTTP status that grpc-gateway gives a gRPC code.
int HttpStatusOf(absl::StatusCode code);

// JSON to the encoded message; no text is an empty message. InvalidArgument for what is no JSON
// of that message; fields it does not have are passed over.
absl::StatusOr<std::string> ToWire(const google::protobuf::Message& prototype,
                                   std::string_view json);

// An encoded message to JSON, with the names of the .proto.
absl::StatusOr<std::string> ToJson(const google::protobuf::Message& prototype,
                                   const std::string& wire);

// The body of an error of a unary call, and the line of one that ends a stream. Both hold what
// grpc-gateway 1 (etcd up to 3.5) and 2 (from 3.6) write, so that readers of either are served.
std::string ErrorJson(const absl::Status& status);
std::string StreamErrorJson(const absl::Status& status);

// Cuts JSON objects that follow one another out of bytes that come in pieces.
//
//   values.Feed(piece);
//   while (auto value = values.Next()) Use(*value);
class JsonValues {
 public:
  void Feed(std::string_view bytes);
  // The next whole object (what is in it, its parser says), or nothing yet.
  std::optional<std::string> Next();
  // Nothing is left half read, and nothing but objects was seen.
  bool Done() const { return !broken_ && depth_ == 0; }
  bool broken() const { return broken_; }
  size_t waiting_bytes() const { return bytes_.size() - begin_; }

 private:
  std::string bytes_;
  size_t begin_ = 0;  // of the object in work
  size_t at_ = 0;     // looked at
  int depth_ = 0;
  bool in_string_ = false;
  bool escaped_ = false;
  bool broken_ = false;  // something else than an object
};

}  // namespace keel::kvstore
