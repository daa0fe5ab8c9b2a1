// The bytes between members: hello, frames, messages. Specified in
// docs/formats/raft-transport.md; messages are those of raft.proto.
//
//   FrameWriter writer;
//   writer.AddMessages(messages);          // one frame
//   async_write(socket, writer.Parts());   // entries' data are not copied
//
//   ParseFrame(bytes, max)                 // a frame, more needed, or an error
//
// Pure functions and values; no I/O.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "raft/core/types.h"

namespace keel::raft {

namespace proto {
class Message;
}

inline constexpr uint32_t kTransportVersion = 1;
inline constexpr size_t kHelloBytes = 48;
inline constexpr size_t kHelloReplyBytes = 40;
inline constexpr size_t kFrameHeaderBytes = 12;
inline constexpr size_t kAddressBytesMax = 255;
// HelloReply::features.
inline constexpr uint32_t kTakesAddress = 1;  // a kAddress frame may come first

// kIntroduction asks who the cluster is, by somebody who does not know yet.
enum class StreamKind : uint32_t { kMessages = 1, kSnapshot = 2, kIntroduction = 3 };

// First thing on a connection, from the side that opened it.
struct Hello {
  StreamKind kind = StreamKind::kMessages;
  uint64_t cluster_id = 0;
  NodeId from = kNoNode;
  NodeId to = kNoNode;
};

enum class HelloResult : uint32_t {
  kOk = 0,
  kOtherCluster = 1,
  kOtherMember = 2,
  kOtherVersion = 3,
  kRemoved = 4,  // the caller was; a kRemoved frame follows
};

struct HelloReply {
  HelloResult result = HelloResult::kOk;
  uint64_t cluster_id = 0;  // the answering side's
  NodeId member = kNoNode;
  uint32_t features = 0;  // what of later additions it knows
};

std::string EncodeHello(const Hello& hello);
// InvalidArgument: not a hello; FailedPrecondition: of another version.
absl::StatusOr<Hello> DecodeHello(std::string_view bytes);
std::string EncodeHelloReply(const HelloReply& reply);
absl::StatusOr<HelloReply> DecodeHelloReply(std::string_view bytes);

// Word to a member that it was removed, by one that has applied that.
struct RemovalNotice {
  uint64_t cluster_id = 0;
  NodeId member = kNoNode;
  Index index = 0;  // at or below which the log removes it
};

std::string EncodeRemovalNotice(const RemovalNotice& notice);
// InvalidArgument when it is none.
absl::StatusOr<RemovalNotice> DecodeRemovalNotice(std::string_view bytes);

enum class FrameType : uint8_t {
  kMessages = 1,        // a MessageBatch
  kUser = 2,            // a user payload, as it is
  kSnapshotHeader = 3,  // a SnapshotHeader
  kSnapshotData = 4,    // contents of files, as they are
  kSnapshotEnd = 5,     // a SnapshotEnd
  kSnapshotResult = 6,  // a SnapshotResult
  kGroupMessages = 7,   // a MessageBatch between hosts of many groups
  kAddress = 8,         // where the sender listens
  kRemoved = 9,         // a RemovalNotice
};

struct FrameView {
  FrameType type = FrameType::kMessages;
  std::string_view payload;
  size_t bytes = 0;   // of the whole frame; 0: incomplete
  size_t needed = 0;  // when incomplete: bytes the whole frame takes, as far as known
};

// The frame at the start of `bytes`. InvalidArgument: larger than `max_payload`
// or not a frame; DataLoss: its checksum is wrong.
absl::StatusOr<FrameView> ParseFrame(std::string_view bytes, size_t max_payload);

// Messages of a kMessages or kGroupMessages frame. InvalidArgument when it is not one.
absl::Status DecodeMessages(std::string_view payload, std::vector<Message>* out);

void ToProto(const Message& message, proto::Message* out);
// InvalidArgument when a type is unknown. Takes the entries' data out of `in`.
absl::StatusOr<Message> FromProto(proto::Message* in);

// Payload bytes that a message takes up in a queue or a frame, roughly.
uint64_t ApproximateBytes(const Message& message);

// Builds frames, as parts for one gathered write.
class FrameWriter {
 public:
  // The messages' entries must outlive the use of Parts().
  void AddMessages(std::span<const Message> messages);
  // `payload` must outlive the use of Parts().
  void Add(FrameType type, std::string_view payload);

  std::vector<std::string_view> Parts() const;
  uint64_t bytes() const { return bytes_; }

 private:
  struct Part {
    const char* data;  // null: in arena_ at `at`
    size_t at;
    size_t size;
  };
  char* Reserve(size_t size);  // in the arena; valid until the next call
  void Reference(std::string_view data);
  void PutMessage(const Message& message);
  void FinishFrame(size_t header_at, size_t first_part, FrameType type, size_t payload_bytes);

  std::string arena_;
  std::vector<Part> parts_;
  uint64_t bytes_ = 0;
};

}  // namespace keel::raft
