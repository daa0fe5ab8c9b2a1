#include "kvstore/apply/command.h"

#include "kvstore/apply/command.pb.h"
#include "kvstore/apply/wire.h"

namespace keel::kvstore {

namespace {
absl::Status Undecodable() {
  return absl::InvalidArgumentError("etcdserver: the command in the log cannot be decoded");
}
}  // namespace

absl::Status DecodeCommand(std::string_view bytes, CommandView* command) {
  WireReader reader(bytes);
  while (reader.Next()) {
    if (reader.Is(kv::Command::kIdFieldNumber, WireType::kVarint)) {
      command->id = reader.varint();
    } else if (reader.Is(kv::Command::kProposerFieldNumber, WireType::kVarint)) {
      command->proposer = reader.varint();
    } else if (reader.Is(kv::Command::kOnlyInTermFieldNumber, WireType::kVarint)) {
      command->only_in_term = reader.varint();
    } else if (reader.Is(kv::Command::kUserFieldNumber, WireType::kBytes)) {
      command->user = reader.bytes();
    } else if (reader.Is(kv::Command::kAuthRevisionFieldNumber, WireType::kVarint)) {
      command->auth_revision = reader.varint();
    } else if (reader.Is(reader.field(), WireType::kBytes) &&
               reader.field() >= kv::Command::kPutFieldNumber) {
      if (command->field != 0) return Undecodable();  // one request a command
      command->field = reader.field();
      command->request = reader.bytes();
    }
  }
  return reader.ok() && command->field != 0 ? absl::OkStatus() : Undecodable();
}

PutView PutView::Of(const etcdserverpb::PutRequest& request) {
  return {request.key(),     request.value(),        request.lease(),
          request.prev_kv(), request.ignore_value(), request.ignore_lease()};
}

absl::Status DecodePut(std::string_view bytes, PutView* put) {
  using Put = etcdserverpb::PutRequest;
  WireReader reader(bytes);
  while (reader.Next()) {
    if (reader.Is(Put::kKeyFieldNumber, WireType::kBytes)) {
      put->key = reader.bytes();
    } else if (reader.Is(Put::kValueFieldNumber, WireType::kBytes)) {
      put->value = reader.bytes();
    } else if (reader.Is(Put::kLeaseFieldNumber, WireType::kVarint)) {
      put->lease = static_cast<int64_t>(reader.varint());
    } else if (reader.Is(Put::kPrevKvFieldNumber, WireType::kVarint)) {
      put->prev_kv = reader.varint() != 0;
    } else if (reader.Is(Put::kIgnoreValueFieldNumber, WireType::kVarint)) {
      put->ignore_value = reader.varint() != 0;
    } else if (reader.Is(Put::kIgnoreLeaseFieldNumber, WireType::kVarint)) {
      put->ignore_lease = reader.varint() != 0;
    }
  }
  return reader.ok() ? absl::OkStatus() : Undecodable();
}

std::string_view FirstKey(const CommandView& command) {
  const auto bytes_of = [](std::string_view message, int field) {
    WireReader reader(message);
    while (reader.Next()) {
      if (reader.Is(field, WireType::kBytes)) return reader.bytes();
    }
    return std::string_view();
  };
  switch (command.field) {
    case kv::Command::kPutFieldNumber:
      return bytes_of(command.request, etcdserverpb::PutRequest::kKeyFieldNumber);
    case kv::Command::kDeleteRangeFieldNumber:
      return bytes_of(command.request, etcdserverpb::DeleteRangeRequest::kKeyFieldNumber);
    case kv::Command::kTxnFieldNumber:
      return bytes_of(bytes_of(command.request, etcdserverpb::TxnRequest::kCompareFieldNumber),
                      etcdserverpb::Compare::kKeyFieldNumber);
    default:
      return {};
  }
}

}  // namespace keel::kvstore
