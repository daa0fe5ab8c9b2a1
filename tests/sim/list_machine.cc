#include "tests/sim/list_machine.h"

#include <sstream>

#include "base/crc32c.h"
#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"

namespace keel::sim {

using base::StrCat;
using raft::NodeId;

namespace {

void Put(std::ostream& out, const std::vector<NodeId>& ids) {
  out << ' ' << ids.size();
  for (const NodeId id : ids) out << ' ' << id;
}

void Get(std::istream& in, std::vector<NodeId>* ids) {
  size_t size = 0;
  in >> size;
  ids->resize(in ? size : 0);
  for (NodeId& id : *ids) in >> id;
}

}  // namespace

// "crc index term hash voters learners outgoing next auto_leave", each list with its size.
std::string ListMachine::Encode() const {
  std::ostringstream out;
  out << applied_.index << ' ' << applied_.term << ' ' << hash_;
  Put(out, applied_.conf.voters);
  Put(out, applied_.conf.learners);
  Put(out, applied_.conf.voters_outgoing);
  Put(out, applied_.conf.learners_next);
  out << ' ' << applied_.conf.auto_leave;
  const std::string body = out.str();
  return StrCat(base::Crc32c(body), " ", body);
}

absl::Status ListMachine::Decode(const std::string& bytes, const std::string& path) {
  const size_t space = bytes.find(' ');
  if (space == std::string::npos ||
      bytes.substr(0, space) != StrCat(base::Crc32c(bytes.substr(space + 1)))) {
    return absl::DataLossError(StrCat("file ", path, " offset 0 is damaged"));
  }
  std::istringstream in(bytes.substr(space + 1));
  raft::AppliedState state;
  in >> state.index >> state.term >> hash_;
  Get(in, &state.conf.voters);
  Get(in, &state.conf.learners);
  Get(in, &state.conf.voters_outgoing);
  Get(in, &state.conf.learners_next);
  in >> state.conf.auto_leave;
  applied_ = std::move(state);
  return absl::OkStatus();
}

absl::StatusOr<raft::AppliedState> ListMachine::Open() {
  if (!fs_.Exists(path_)) return applied_;
  KEEL_ASSIGN_OR_RETURN(const std::string bytes, base::ReadFile(fs_, path_));
  KEEL_RETURN_IF_ERROR(Decode(bytes, path_));
  // Its name may be in the system's cache only.
  KEEL_RETURN_IF_ERROR(fs_.SyncDir(path_.substr(0, path_.rfind('/'))));
  durable_ = applied_.index;
  return applied_;
}

absl::Status ListMachine::Apply(std::span<const raft::CommittedEntry> entries) {
  for (const raft::CommittedEntry& committed : entries) {
    const raft::Entry& entry = committed.entry;
    hash_ = (hash_ ^ entry.term ^ base::Crc32c(*entry.data)) * 0x9e3779b97f4a7c15ull + entry.index;
    applied_.index = entry.index;
    applied_.term = entry.term;
    if (entry.type == raft::EntryType::kConfChange) applied_.conf = committed.conf_after;
    if (on_applied) on_applied(committed);
  }
  return absl::OkStatus();
}

void ListMachine::Flush() {
  if (const absl::Status status = base::WriteFileAtomic(fs_, path_, Encode()); status.ok()) {
    durable_ = applied_.index;
  } else {
    base::Log().warn("list flush error=\"{}\"", status.ToString());
  }
}

absl::StatusOr<raft::AppliedState> ListMachine::WriteSnapshot(const std::string& dir) {
  KEEL_RETURN_IF_ERROR(base::WriteFileAtomic(fs_, StrCat(dir, "/list"), Encode()));
  return applied_;
}

absl::Status ListMachine::RestoreSnapshot(const std::string& dir, const raft::SnapshotMeta& meta) {
  const std::string path = StrCat(dir, "/list");
  KEEL_ASSIGN_OR_RETURN(const std::string bytes, base::ReadFile(fs_, path));
  KEEL_RETURN_IF_ERROR(Decode(bytes, path));
  applied_.conf = meta.conf;
  KEEL_RETURN_IF_ERROR(base::WriteFileAtomic(fs_, path_, Encode()));
  durable_ = applied_.index;
  return absl::OkStatus();
}

}  // namespace keel::sim
