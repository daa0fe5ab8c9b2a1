// The outer shell of an encoded keel.kv.Command, opened without copying: who
// proposed what, and the request's bytes in place.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "kvstore/api/rpc.pb.h"

namespace keel::kvstore {

struct CommandView {
  uint64_t id = 0;
  uint64_t proposer = 0;
  uint64_t only_in_term = 0;   // 0: any
  std::string_view user;       // who asked for it; into the command's bytes
  uint64_t auth_revision = 0;  // 0: nobody said who
  int field = 0;               // of Command.request: Command::kPutFieldNumber, ...
  std::string_view request;    // encoded, into the command's bytes
};

// InvalidArgument for bytes that are no Command; id and proposer are set as far as they could
// be read, so that the proposer learns of it.
absl::Status DecodeCommand(std::string_view bytes, CommandView* command);

// A PutRequest in place.
struct PutView {
  std::string_view key;
  std::string_view value;
  int64_t lease = 0;
  bool prev_kv = false;
  bool ignore_value = false;
  bool ignore_lease = false;

  static PutView Of(const etcdserverpb::PutRequest& request);
};
absl::Status DecodePut(std::string_view bytes, PutView* put);

// A key that applying the command will most likely look up: the one of a put or deletion, the first
// one that a transaction compares. Empty: none, or not found out cheaply. A hint.
std::string_view FirstKey(const CommandView& command);

}  // namespace keel::kvstore
