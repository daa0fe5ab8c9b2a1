#include "raft/transport/codec.h"

#include <google/protobuf/io/coded_stream.h>

#include <bit>
#include <cstring>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/strings.h"
#include "raft/transport/raft.pb.h"

namespace keel::raft {
namespace {

using google::protobuf::io::CodedOutputStream;

static_assert(std::endian::native == std::endian::little, "the frame format is little-endian");

constexpr std::string_view kMagic = "KEELPEER";
// Data up to this size are copied: cheaper than a part of their own.
constexpr size_t kCopyBytesMax = 2048;

template <typename T>
void Put(std::string* out, T value) {
  out->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

template <typename T>
T Get(std::string_view data, size_t at) {
  T value;
  std::memcpy(&value, data.data() + at, sizeof(value));
  return value;
}

// Protobuf's wire format, written by hand where copies would cost: a varint
// field (left out when 0), and a length-delimited one.
size_t VarintBytes(uint64_t value) {
  return value == 0 ? 0 : 1 + CodedOutputStream::VarintSize64(value);  // tags below 16: one byte
}
size_t DelimitedBytes(size_t size) { return 1 + CodedOutputStream::VarintSize64(size) + size; }
uint8_t* PutVarint(uint32_t field, uint64_t value, uint8_t* to) {
  if (value == 0) return to;
  *to++ = static_cast<uint8_t>(field << 3);
  return CodedOutputStream::WriteVarint64ToArray(value, to);
}
uint8_t* PutLength(uint32_t field, uint64_t size, uint8_t* to) {
  *to++ = static_cast<uint8_t>(field << 3 | 2);
  return CodedOutputStream::WriteVarint64ToArray(size, to);
}

size_t EntryFixedBytes(const Entry& e) {
  return VarintBytes(e.term) + VarintBytes(e.index) + VarintBytes(static_cast<uint64_t>(e.type)) +
         (e.data->empty() ? 0 : DelimitedBytes(e.data->size()) - e.data->size());
}
size_t EntryBytes(const Entry& e) { return EntryFixedBytes(e) + e.data->size(); }

size_t FieldsBytes(const Message& m) {
  return VarintBytes(static_cast<uint64_t>(m.type)) + VarintBytes(m.from) + VarintBytes(m.to) +
         VarintBytes(m.term) + VarintBytes(m.index) + VarintBytes(m.log_term) +
         VarintBytes(m.commit) + VarintBytes(m.reject ? 1 : 0) + VarintBytes(m.reject_hint) +
         VarintBytes(m.context) + VarintBytes(m.group) + VarintBytes(m.quiesce ? 1 : 0);
}

size_t EntriesBytes(const Message& m) {
  size_t bytes = 0;
  for (const Entry& e : m.entries) bytes += DelimitedBytes(EntryBytes(e));
  return bytes;
}

void MetaToProto(const SnapshotMeta& meta, proto::SnapshotMeta* out) {
  out->set_index(meta.index);
  out->set_term(meta.term);
  proto::ConfState* conf = out->mutable_conf();
  conf->mutable_voters()->Add(meta.conf.voters.begin(), meta.conf.voters.end());
  conf->mutable_learners()->Add(meta.conf.learners.begin(), meta.conf.learners.end());
  conf->mutable_voters_outgoing()->Add(meta.conf.voters_outgoing.begin(),
                                       meta.conf.voters_outgoing.end());
  conf->mutable_learners_next()->Add(meta.conf.learners_next.begin(),
                                     meta.conf.learners_next.end());
  conf->set_auto_leave(meta.conf.auto_leave);
}

}  // namespace

std::string EncodeHello(const Hello& hello) {
  std::string out(kMagic);
  Put(&out, kTransportVersion);
  Put(&out, static_cast<uint32_t>(hello.kind));
  Put(&out, hello.cluster_id);
  Put(&out, hello.from);
  Put(&out, hello.to);
  Put<uint32_t>(&out, 0);
  Put(&out, base::Crc32c(out));
  return out;
}

absl::StatusOr<Hello> DecodeHello(std::string_view bytes) {
  if (bytes.size() != kHelloBytes || bytes.substr(0, 8) != kMagic ||
      Get<uint32_t>(bytes, 44) != base::Crc32c(bytes.substr(0, 44))) {
    return absl::InvalidArgumentError("not a peer's hello");
  }
  Hello hello{static_cast<StreamKind>(Get<uint32_t>(bytes, 12)), Get<uint64_t>(bytes, 16),
              Get<NodeId>(bytes, 24), Get<NodeId>(bytes, 32)};
  if (Get<uint32_t>(bytes, 8) != kTransportVersion || hello.kind < StreamKind::kMessages ||
      hello.kind > StreamKind::kIntroduction) {
    return absl::FailedPreconditionError("a peer of another protocol version");
  }
  return hello;
}

std::string EncodeHelloReply(const HelloReply& reply) {
  std::string out(kMagic);
  Put(&out, kTransportVersion);
  Put(&out, static_cast<uint32_t>(reply.result));
  Put(&out, reply.cluster_id);
  Put(&out, reply.member);
  Put(&out, reply.features);
  Put(&out, base::Crc32c(out));
  return out;
}

absl::StatusOr<HelloReply> DecodeHelloReply(std::string_view bytes) {
  if (bytes.size() != kHelloReplyBytes || bytes.substr(0, 8) != kMagic ||
      Get<uint32_t>(bytes, 36) != base::Crc32c(bytes.substr(0, 36))) {
    return absl::InvalidArgumentError("not a peer's answer");
  }
  return HelloReply{static_cast<HelloResult>(Get<uint32_t>(bytes, 12)), Get<uint64_t>(bytes, 16),
                    Get<NodeId>(bytes, 24), Get<uint32_t>(bytes, 32)};
}

std::string EncodeRemovalNotice(const RemovalNotice& notice) {
  std::string out;
  Put(&out, notice.cluster_id);
  Put(&out, notice.member);
  Put(&out, notice.index);
  return out;
}

absl::StatusOr<RemovalNotice> DecodeRemovalNotice(std::string_view bytes) {
  if (bytes.size() != 24) return absl::InvalidArgumentError("not a notice of removal");
  const RemovalNotice notice{Get<uint64_t>(bytes, 0), Get<NodeId>(bytes, 8), Get<Index>(bytes, 16)};
  if (notice.index == 0) return absl::InvalidArgumentError("a notice of removal without an index");
  return notice;
}

absl::StatusOr<FrameView> ParseFrame(std::string_view bytes, size_t max_payload) {
  FrameView frame;
  frame.needed = kFrameHeaderBytes;
  if (bytes.size() < kFrameHeaderBytes) return frame;
  const size_t size = Get<uint32_t>(bytes, 0);
  if (size > max_payload) {
    return absl::InvalidArgumentError(
        base::StrCat("a frame of ", size, " bytes; the limit is ", max_payload));
  }
  frame.needed = kFrameHeaderBytes + size;
  if (bytes.size() < frame.needed) return frame;
  if (Get<uint32_t>(bytes, 4) != base::Crc32c(bytes.substr(8, 4 + size))) {
    return absl::DataLossError("a frame's checksum is wrong");
  }
  const auto type = static_cast<uint8_t>(bytes[8]);
  if (type < static_cast<uint8_t>(FrameType::kMessages) ||
      type > static_cast<uint8_t>(FrameType::kRemoved)) {
    return absl::InvalidArgumentError(base::StrCat("a frame of unknown type ", type));
  }
  frame.type = static_cast<FrameType>(type);
  frame.payload = bytes.substr(kFrameHeaderBytes, size);
  frame.bytes = frame.needed;
  return frame;
}

void ToProto(const Message& m, proto::Message* out) {
  out->set_type(static_cast<uint32_t>(m.type));
  out->set_from(m.from);
  out->set_to(m.to);
  out->set_term(m.term);
  out->set_index(m.index);
  out->set_log_term(m.log_term);
  out->set_commit(m.commit);
  out->set_reject(m.reject);
  out->set_reject_hint(m.reject_hint);
  out->set_context(m.context);
  out->set_group(m.group);
  out->set_quiesce(m.quiesce);
  if (!m.snapshot.empty()) MetaToProto(m.snapshot, out->mutable_snapshot());
  for (const Entry& e : m.entries) {
    proto::Entry* entry = out->add_entries();
    entry->set_term(e.term);
    entry->set_index(e.index);
    entry->set_type(static_cast<uint32_t>(e.type));
    entry->set_data(*e.data);
  }
}

absl::StatusOr<Message> FromProto(proto::Message* in) {
  Message m;
  if (in->type() > static_cast<uint32_t>(MessageType::kTransferLeader)) {
    return absl::InvalidArgumentError(base::StrCat("a message of unknown type ", in->type()));
  }
  m.type = static_cast<MessageType>(in->type());
  m.from = in->from();
  m.to = in->to();
  m.term = in->term();
  m.index = in->index();
  m.log_term = in->log_term();
  m.commit = in->commit();
  m.reject = in->reject();
  m.reject_hint = in->reject_hint();
  m.context = in->context();
  m.group = in->group();
  m.quiesce = in->quiesce();
  if (in->has_snapshot()) {
    m.snapshot.index = in->snapshot().index();
    m.snapshot.term = in->snapshot().term();
    const proto::ConfState& conf = in->snapshot().conf();
    m.snapshot.conf.voters.assign(conf.voters().begin(), conf.voters().end());
    m.snapshot.conf.learners.assign(conf.learners().begin(), conf.learners().end());
    m.snapshot.conf.voters_outgoing.assign(conf.voters_outgoing().begin(),
                                           conf.voters_outgoing().end());
    m.snapshot.conf.learners_next.assign(conf.learners_next().begin(), conf.learners_next().end());
    m.snapshot.conf.auto_leave = conf.auto_leave();
  }
  m.entries.reserve(static_cast<size_t>(in->entries_size()));
  for (proto::Entry& e : *in->mutable_entries()) {
    if (e.type() > static_cast<uint32_t>(EntryType::kConfChange)) {
      return absl::InvalidArgumentError(base::StrCat("an entry of unknown type ", e.type()));
    }
    m.entries.push_back({e.term(), e.index(), static_cast<EntryType>(e.type()),
                         std::make_shared<const std::string>(std::move(*e.mutable_data()))});
  }
  return m;
}

absl::Status DecodeMessages(std::string_view payload, std::vector<Message>* out) {
  proto::MessageBatch batch;
  if (!batch.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return absl::InvalidArgumentError("not a batch of messages");
  }
  for (proto::Message& in : *batch.mutable_messages()) {
    auto message = FromProto(&in);
    if (!message.ok()) return message.status();
    out->push_back(*std::move(message));
  }
  return absl::OkStatus();
}

uint64_t ApproximateBytes(const Message& message) {
  uint64_t bytes = 64;
  for (const Entry& e : message.entries) bytes += e.data->size() + 24;
  return bytes;
}

char* FrameWriter::Reserve(size_t size) {
  if (!parts_.empty() && parts_.back().data == nullptr) {
    parts_.back().size += size;
  } else {
    parts_.push_back({nullptr, arena_.size(), size});
  }
  arena_.resize(arena_.size() + size);
  bytes_ += size;
  return arena_.data() + arena_.size() - size;
}

void FrameWriter::Reference(std::string_view data) {
  if (data.size() <= kCopyBytesMax) {
    if (!data.empty()) std::memcpy(Reserve(data.size()), data.data(), data.size());
    return;
  }
  parts_.push_back({data.data(), 0, data.size()});
  bytes_ += data.size();
}

void FrameWriter::PutMessage(const Message& m) {
  std::string snapshot;
  if (!m.snapshot.empty()) {
    proto::SnapshotMeta meta;
    MetaToProto(m.snapshot, &meta);
    snapshot = meta.SerializeAsString();
  }
  const size_t fields = FieldsBytes(m);
  const size_t body =
      fields + (snapshot.empty() ? 0 : DelimitedBytes(snapshot.size())) + EntriesBytes(m);
  const size_t head = DelimitedBytes(body) - body;
  auto* to = reinterpret_cast<uint8_t*>(Reserve(head + fields));
  to = PutLength(1, body, to);
  to = PutVarint(1, static_cast<uint64_t>(m.type), to);
  to = PutVarint(2, m.from, to);
  to = PutVarint(3, m.to, to);
  to = PutVarint(4, m.term, to);
  to = PutVarint(5, m.index, to);
  to = PutVarint(6, m.log_term, to);
  to = PutVarint(8, m.commit, to);
  to = PutVarint(9, m.reject ? 1 : 0, to);
  to = PutVarint(10, m.reject_hint, to);
  to = PutVarint(12, m.context, to);
  to = PutVarint(13, m.group, to);
  PutVarint(14, m.quiesce ? 1 : 0, to);
  if (!snapshot.empty()) {
    to = reinterpret_cast<uint8_t*>(Reserve(DelimitedBytes(snapshot.size()) - snapshot.size()));
    PutLength(11, snapshot.size(), to);
    std::memcpy(Reserve(snapshot.size()), snapshot.data(), snapshot.size());
  }
  for (const Entry& e : m.entries) {
    const size_t size = EntryBytes(e);
    to = reinterpret_cast<uint8_t*>(Reserve(DelimitedBytes(size) - size + EntryFixedBytes(e)));
    to = PutLength(7, size, to);
    to = PutVarint(1, e.term, to);
    to = PutVarint(2, e.index, to);
    to = PutVarint(3, static_cast<uint64_t>(e.type), to);
    if (!e.data->empty()) PutLength(4, e.data->size(), to);
    Reference(*e.data);
  }
}

void FrameWriter::AddMessages(std::span<const Message> messages) {
  const size_t header_at = arena_.size();
  const uint64_t before = bytes_;
  Reserve(kFrameHeaderBytes);
  const size_t first_part = parts_.size() - 1;
  FrameType type = FrameType::kMessages;
  for (const Message& message : messages) {
    if (message.group != kNoGroup) type = FrameType::kGroupMessages;
    PutMessage(message);
  }
  FinishFrame(header_at, first_part, type, bytes_ - before - kFrameHeaderBytes);
}

void FrameWriter::Add(FrameType type, std::string_view payload) {
  const size_t header_at = arena_.size();
  Reserve(kFrameHeaderBytes);
  const size_t first_part = parts_.size() - 1;
  Reference(payload);
  FinishFrame(header_at, first_part, type, payload.size());
}

void FrameWriter::FinishFrame(size_t header_at, size_t first_part, FrameType type,
                              size_t payload_bytes) {
  KEEL_CHECK(payload_bytes <= UINT32_MAX, "frame of ", payload_bytes, " bytes");
  char* header = arena_.data() + header_at;
  const auto size = static_cast<uint32_t>(payload_bytes);
  std::memcpy(header, &size, 4);
  std::memset(header + 8, 0, 4);
  header[8] = static_cast<char>(type);
  // The first part may hold earlier frames; this one starts inside it.
  uint32_t crc = 0;
  for (size_t i = first_part; i < parts_.size(); ++i) {
    const Part& part = parts_[i];
    if (part.data != nullptr) {
      crc = base::ExtendCrc32c(crc, {part.data, part.size});
      continue;
    }
    const size_t from = i == first_part ? header_at + 8 : part.at;
    crc = base::ExtendCrc32c(crc, {arena_.data() + from, part.at + part.size - from});
  }
  std::memcpy(header + 4, &crc, 4);
}

std::vector<std::string_view> FrameWriter::Parts() const {
  std::vector<std::string_view> out;
  out.reserve(parts_.size());
  for (const Part& part : parts_) {
    out.emplace_back(part.data != nullptr ? part.data : arena_.data() + part.at, part.size);
  }
  return out;
}

}  // namespace keel::raft
