#include "raft/driver/memory_state_machine.h"

#include <cstring>
#include <utility>

#include "base/crc32c.h"
#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"

namespace keel::raft {
namespace {

constexpr std::string_view kMagic = "KEELST01";
constexpr const char* kSnapshotName = "/state";

void PutInteger(std::string& out, uint64_t value, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

void PutNodes(std::string& out, const std::vector<NodeId>& nodes) {
  PutInteger(out, nodes.size(), 4);
  for (NodeId node : nodes) PutInteger(out, node, 8);
}

// Takes from the front; short input leaves `ok` false.
struct Reader {
  std::string_view in;
  bool ok = true;

  uint64_t Integer(size_t bytes) {
    if (in.size() < bytes) ok = false;
    if (!ok) return 0;
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; ++i) {
      value |= uint64_t{static_cast<unsigned char>(in[i])} << (8 * i);
    }
    in.remove_prefix(bytes);
    return value;
  }

  std::vector<NodeId> Nodes() {
    const uint64_t count = Integer(4);
    if (count > in.size() / 8) ok = false;
    std::vector<NodeId> nodes;
    for (uint64_t i = 0; ok && i < count; ++i) nodes.push_back(Integer(8));
    return nodes;
  }
};

}  // namespace

MemoryStateMachine::MemoryStateMachine(std::string file, base::FileSystem* fs)
    : file_(std::move(file)), fs_(fs != nullptr ? *fs : base::PosixFileSystem()) {}

absl::StatusOr<AppliedState> MemoryStateMachine::Open() {
  if (const size_t slash = file_.rfind('/'); slash != std::string::npos && slash > 0) {
    KEEL_RETURN_IF_ERROR(fs_.CreateDirs(file_.substr(0, slash)));
  }
  if (!fs_.Exists(file_)) return applied_;
  KEEL_ASSIGN_OR_RETURN(const std::string bytes, base::ReadFile(fs_, file_));
  KEEL_RETURN_IF_ERROR(Read(bytes));
  durable_ = applied_.index;
  return applied_;
}

absl::Status MemoryStateMachine::Apply(std::span<const CommittedEntry> entries) {
  for (const CommittedEntry& committed : entries) {
    const Entry& entry = committed.entry;
    applied_.index = entry.index;
    applied_.term = entry.term;
    if (entry.type == EntryType::kConfChange) {
      applied_.conf = committed.conf_after;
    } else if (!entry.data->empty()) {
      ApplyCommand(entry);
    }
  }
  return absl::OkStatus();
}

void MemoryStateMachine::Flush() {
  // A failure costs nothing but a longer log: what is not durable here is kept there.
  if (const absl::Status status = Write(file_); !status.ok()) {
    base::Log().warn("state not saved file={} error=\"{}\"", file_, status.ToString());
    return;
  }
  durable_ = applied_.index;
}

absl::StatusOr<AppliedState> MemoryStateMachine::WriteSnapshot(const std::string& dir) {
  KEEL_RETURN_IF_ERROR(Write(dir + kSnapshotName));
  return applied_;
}

absl::Status MemoryStateMachine::RestoreSnapshot(const std::string& dir, const SnapshotMeta& meta) {
  KEEL_ASSIGN_OR_RETURN(const std::string bytes, base::ReadFile(fs_, dir + kSnapshotName));
  KEEL_RETURN_IF_ERROR(Read(bytes));
  if (applied_.index != meta.index || applied_.term != meta.term) {
    return absl::DataLossError(base::StrCat("the snapshot holds entry ", applied_.index,
                                            ", but was announced with ", meta.index));
  }
  applied_.conf = meta.conf;
  KEEL_RETURN_IF_ERROR(Write(file_));
  durable_ = applied_.index;
  return absl::OkStatus();
}

absl::Status MemoryStateMachine::Write(const std::string& file) const {
  std::string body;
  PutInteger(body, applied_.index, 8);
  PutInteger(body, applied_.term, 8);
  for (const std::vector<NodeId>* nodes :
       {&applied_.conf.voters, &applied_.conf.learners, &applied_.conf.voters_outgoing,
        &applied_.conf.learners_next}) {
    PutNodes(body, *nodes);
  }
  PutInteger(body, applied_.conf.auto_leave ? 1 : 0, 1);
  body += Save();
  std::string bytes(kMagic);
  PutInteger(bytes, base::Crc32c(body), 4);
  return base::WriteFileAtomic(fs_, file, bytes + body);
}

absl::Status MemoryStateMachine::Read(std::string_view bytes) {
  const auto damaged = [&] {
    return absl::DataLossError(base::StrCat("not an intact saved state: ", file_));
  };
  if (bytes.substr(0, kMagic.size()) != kMagic) return damaged();
  Reader reader{bytes.substr(kMagic.size())};
  const uint64_t crc = reader.Integer(4);
  if (!reader.ok || crc != base::Crc32c(reader.in)) return damaged();
  AppliedState applied;
  applied.index = reader.Integer(8);
  applied.term = reader.Integer(8);
  applied.conf.voters = reader.Nodes();
  applied.conf.learners = reader.Nodes();
  applied.conf.voters_outgoing = reader.Nodes();
  applied.conf.learners_next = reader.Nodes();
  applied.conf.auto_leave = reader.Integer(1) != 0;
  if (!reader.ok) return damaged();
  KEEL_RETURN_IF_ERROR(Load(reader.in));
  applied_ = std::move(applied);
  return absl::OkStatus();
}

}  // namespace keel::raft
