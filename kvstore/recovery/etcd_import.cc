#include "kvstore/recovery/etcd_import.h"

#include <algorithm>
#include <memory>
#include <string>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "base/status.h"
#include "base/strings.h"
#include "kvstore/api/rpc.pb.h"
#include "kvstore/mvcc/coding.h"
#include "kvstore/mvcc/database.h"

namespace keel::kvstore {

using base::StrCat;

namespace {

constexpr size_t kBatchBytes = 4 << 20;
constexpr size_t kRevisionBytes = 17;  // main 8, '_', sub 8
constexpr char kTombstone = 't';       // behind them

struct EtcdRevision {
  int64_t main = 0;
  bool tombstone = false;
};

bool DecodeRevision(std::string_view bytes, EtcdRevision* revision) {
  revision->tombstone = bytes.size() == kRevisionBytes + 1 && bytes.back() == kTombstone;
  if (bytes.size() != kRevisionBytes + (revision->tombstone ? 1 : 0) || bytes[8] != '_') {
    return false;
  }
  revision->main = static_cast<int64_t>(LoadBig64(bytes.data()));
  return revision->main > 0;
}

// leasepb.Lease: ID 1, TTL 2, RemainingTTL 3, all varints.
bool DecodeLease(std::string_view bytes, int64_t fields[3]) {
  while (!bytes.empty()) {
    uint64_t tag = 0, value = 0;
    if (!ReadVarint(&bytes, &tag) || (tag & 7) != 0 || !ReadVarint(&bytes, &value)) return false;
    if (tag >> 3 >= 1 && tag >> 3 <= 3) fields[(tag >> 3) - 1] = static_cast<int64_t>(value);
  }
  return true;
}

template <typename Message>
bool Parse(std::string_view bytes, Message* message) {
  return bytes.size() <= INT32_MAX &&
         message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

class Importer {
 public:
  Importer(BboltFile& file, std::shared_ptr<Database> database, SnapshotProgress progress)
      : file_(file), database_(std::move(database)), progress_(progress) {}

  absl::StatusOr<EtcdContents> Run() {
    KEEL_RETURN_IF_ERROR(ReadCompaction());
    KEEL_RETURN_IF_ERROR(ReadLeases());
    KEEL_RETURN_IF_ERROR(ReadAuth());
    KEEL_ASSIGN_OR_RETURN(const bool there,
                          file_.ForEach("key", [this](std::string_view key, std::string_view kv) {
                            return Version(key, kv);
                          }));
    if (!there) return absl::InvalidArgumentError("the file has no keys of etcd's v3 store");
    // All that was there may have been compacted away.
    out_.revision = std::max(out_.revision, out_.compact_revision);
    std::string applied;
    AppendVarint(0, &applied);
    AppendVarint(0, &applied);
    AppendVarint(static_cast<uint64_t>(out_.revision), &applied);
    AppendVarint(static_cast<uint64_t>(out_.compact_revision + 1), &applied);
    Put(Family::kMeta, "applied", applied);
    KEEL_RETURN_IF_ERROR(Commit());
    KEEL_RETURN_IF_ERROR(database_->Flush(/*wait=*/true));
    return out_;
  }

 private:
  void Put(Family family, std::string_view key, std::string_view value) {
    batch_.Put(database_->family(family), ToSlice(key), ToSlice(value));
  }
  absl::Status Commit() {
    KEEL_RETURN_IF_ERROR(database_->Write(&batch_));
    batch_.Clear();
    overlay_.clear();
    return absl::OkStatus();
  }

  // etcd finishes a compaction that was scheduled when it starts.
  absl::Status ReadCompaction() {
    const auto visit = [this](std::string_view key, std::string_view value) {
      if (key != "finishedCompactRev" && key != "scheduledCompactRev") return absl::OkStatus();
      EtcdRevision revision;
      if (value.size() < kRevisionBytes || value[8] != '_') {
        return absl::DataLossError(StrCat("a compacted revision that does not parse (", key, ")"));
      }
      revision.main = static_cast<int64_t>(LoadBig64(value.data()));
      if (revision.main > 0) {
        out_.compact_revision = std::max(out_.compact_revision, revision.main);
      }
      return absl::OkStatus();
    };
    return file_.ForEach("meta", visit).status();
  }

  absl::Status ReadLeases() {
    const auto visit = [this](std::string_view key, std::string_view value) -> absl::Status {
      int64_t fields[3] = {0, 0, 0};
      if (key.size() != 8 || !DecodeLease(value, fields) || fields[1] <= 0 || fields[2] < 0) {
        return absl::DataLossError("a lease that does not parse");
      }
      std::string times;
      AppendVarint(static_cast<uint64_t>(fields[1]), &times);
      AppendVarint(static_cast<uint64_t>(fields[2]), &times);
      Put(Family::kLease, key, times);
      leases_.insert(static_cast<int64_t>(LoadBig64(key.data())));
      ++out_.leases;
      return Step();
    };
    return file_.ForEach("lease", visit).status();
  }

  // Into the keys of docs/formats/mvcc.md.
  absl::Status ReadAuth() {
    const auto settings = [this](std::string_view key, std::string_view value) {
      if (key == "authEnabled") {
        out_.auth_enabled = value == std::string_view("\x01", 1);
        if (out_.auth_enabled) Put(Family::kMeta, "auth/enabled", "");
      } else if (key == "authRevision") {
        if (value.size() != 8) return absl::DataLossError("an auth revision that does not parse");
        std::string revision;
        AppendVarint(LoadBig64(value.data()), &revision);
        Put(Family::kMeta, "auth/revision", revision);
      }
      return absl::OkStatus();
    };
    const auto user = [this](std::string_view key, std::string_view value) {
      authpb::User parsed;
      if (!Parse(value, &parsed) || parsed.name() != key) {
        return absl::DataLossError("a user that does not parse");
      }
      std::sort(parsed.mutable_roles()->begin(), parsed.mutable_roles()->end());
      Put(Family::kMeta, StrCat("auth/user/", key), parsed.SerializeAsString());
      ++out_.users;
      return absl::OkStatus();
    };
    const auto role = [this](std::string_view key, std::string_view value) {
      authpb::Role parsed;
      if (!Parse(value, &parsed) || parsed.name() != key) {
        return absl::DataLossError("a role that does not parse");
      }
      auto& permissions = *parsed.mutable_keypermission();
      std::sort(permissions.begin(), permissions.end(), [](const auto& a, const auto& b) {
        return std::tie(a.key(), a.range_end()) < std::tie(b.key(), b.range_end());
      });
      Put(Family::kMeta, StrCat("auth/role/", key), parsed.SerializeAsString());
      ++out_.roles;
      return absl::OkStatus();
    };
    KEEL_RETURN_IF_ERROR(file_.ForEach("auth", settings).status());
    KEEL_RETURN_IF_ERROR(file_.ForEach("authUsers", user).status());
    return file_.ForEach("authRoles", role).status();
  }

  // One entry of the bucket `key`; they come by revision.
  absl::Status Version(std::string_view key, std::string_view value) {
    EtcdRevision at;
    mvccpb::KeyValue kv;
    if (!DecodeRevision(key, &at)) return absl::DataLossError("a revision that does not parse");
    if (!Parse(value, &kv) || kv.key().empty()) {
      return absl::DataLossError(StrCat("a key that does not parse, of revision ", at.main));
    }
    if (!at.tombstone && (kv.mod_revision() != at.main || kv.create_revision() <= 0 ||
                          kv.create_revision() > at.main || kv.version() <= 0)) {
      return absl::DataLossError(StrCat("a key that says it is of revision ", kv.mod_revision(),
                                        " at revision ", at.main));
    }
    sub_ = at.main == out_.revision && out_.versions > 0 ? sub_ + 1 : 0;
    out_.revision = at.main;
    ++out_.versions;
    std::string stored;
    RecordView prev;
    KEEL_ASSIGN_OR_RETURN(const bool had, Newest(kv.key(), &stored, &prev));
    if (had && prev.mod_revision >= at.main) {
      return absl::DataLossError(StrCat("a key that changed twice in revision ", at.main));
    }
    if (!Continues(at, had ? &prev : nullptr, kv)) ++out_.gaps;
    if (had) Supersede(kv.key(), prev, at.main);
    if (at.main >= out_.compact_revision && (had || !at.tombstone)) {
      AddEvent(at, had ? prev.mod_revision : 0, kv.key());
    }
    const int64_t lease = at.tombstone ? 0 : kv.lease();
    Attach(kv.key(), had ? prev.lease : 0, lease);
    if (at.tombstone) {
      batch_.Delete(database_->family(Family::kLatest), kv.key());
      overlay_[kv.key()].clear();
      out_.keys -= had ? 1 : 0;
    } else {
      std::string record;
      AppendRecordHeader(
          {kv.key(), kv.value(), kv.create_revision(), kv.mod_revision(), kv.version(), kv.lease()},
          &record);
      record += kv.value();
      Put(Family::kLatest, kv.key(), record);
      overlay_[kv.key()] = std::move(record);
      out_.keys += had ? 0 : 1;
    }
    done_ += key.size() + value.size();
    progress_(std::min(done_, file_.bytes()), file_.bytes());
    return Step();
  }

  absl::Status Step() { return batch_.GetDataSize() > kBatchBytes ? Commit() : absl::OkStatus(); }

  // `stored` holds what `record` points into.
  absl::StatusOr<bool> Newest(const std::string& key, std::string* stored, RecordView* record) {
    if (const auto found = overlay_.find(key); found != overlay_.end()) {
      *stored = found->second;  // empty: it was deleted
    } else {
      rocksdb::PinnableSlice value;
      KEEL_ASSIGN_OR_RETURN(const bool there,
                            database_->Get(Family::kLatest, nullptr, key, &value));
      if (there) stored->assign(value.data(), value.size());
    }
    if (stored->empty()) return false;
    if (!DecodeRecord(*stored, record)) return absl::InternalError("a record of ours is damaged");
    return true;
  }

  // What is compacted may leave gaps.
  bool Continues(const EtcdRevision& at, const RecordView* prev, const mvccpb::KeyValue& kv) const {
    if (at.main <= out_.compact_revision) return true;
    if (at.tombstone) return prev != nullptr;
    if (prev == nullptr) return kv.version() == 1 && kv.create_revision() == at.main;
    return kv.version() == prev->version + 1 && kv.create_revision() == prev->create_revision;
  }

  void Supersede(const std::string& key, const RecordView& prev, int64_t by) {
    if (by <= out_.compact_revision) return;
    std::string at, record;
    AppendHistoryKey(key, prev.mod_revision, &at);
    AppendBig64(static_cast<uint64_t>(by), &record);
    AppendRecordHeader(prev, &record);
    record += prev.value;
    Put(Family::kHistory, at, record);
  }

  void AddEvent(const EtcdRevision& at, int64_t prev_mod, const std::string& key) {
    char event_key[kEventKeySize];
    StoreEventKey(at.main, sub_, event_key);
    std::string event(1, at.tombstone ? 1 : 0);
    AppendVarint(static_cast<uint64_t>(prev_mod), &event);
    event += key;
    Put(Family::kEvents, std::string_view(event_key, kEventKeySize), event);
  }

  // A lease that is gone takes nothing with it, should its id come again.
  void Attach(const std::string& key, int64_t before, int64_t now) {
    if (before == now) return;
    if (before != 0 && leases_.contains(before)) {
      batch_.Delete(database_->family(Family::kLeaseKeys), LeaseKey(before, key));
    }
    if (now != 0 && leases_.contains(now)) Put(Family::kLeaseKeys, LeaseKey(now, key), "");
  }

  BboltFile& file_;
  const std::shared_ptr<Database> database_;
  SnapshotProgress progress_;
  rocksdb::WriteBatch batch_;
  absl::flat_hash_map<std::string, std::string> overlay_;  // newest records, as far as in batch_
  absl::flat_hash_set<int64_t> leases_;
  uint32_t sub_ = 0;
  uint64_t done_ = 0;
  EtcdContents out_;
};

}  // namespace

absl::StatusOr<EtcdContents> ImportEtcd(BboltFile& file, const StoreOptions& options,
                                        SnapshotProgress progress) {
  base::FileSystem& fs = options.fs();
  KEEL_RETURN_IF_ERROR(fs.CreateDirs(options.dir));
  EtcdContents contents;
  {
    KEEL_ASSIGN_OR_RETURN(std::shared_ptr<Database> database,
                          Database::Open(options.dir + "/db-000001", options, /*create=*/true));
    KEEL_ASSIGN_OR_RETURN(contents, Importer(file, std::move(database), progress).Run());
  }
  KEEL_RETURN_IF_ERROR(base::WriteFileAtomic(fs, options.dir + "/CURRENT", "db-000001\n"));
  return contents;
}

absl::StatusOr<MigrateResult> MigrateEtcdFile(base::FileSystem& fs, const std::string& path,
                                              BboltHash hash, const RestoreOptions& options,
                                              SnapshotProgress progress) {
  KEEL_ASSIGN_OR_RETURN(const std::unique_ptr<BboltFile> file, BboltFile::Open(fs, path, hash));
  MigrateResult result;
  KEEL_ASSIGN_OR_RETURN(
      result.restored, BuildDataDir(fs, options, [&](const StoreOptions& store) -> absl::Status {
        KEEL_ASSIGN_OR_RETURN(result.contents, ImportEtcd(*file, store, progress));
        return absl::OkStatus();
      }));
  return result;
}

}  // namespace keel::kvstore
