#include "kvstore/recovery/backup_restore.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/status.h"
#include "base/strings.h"
#include "kvstore/mvcc/store.h"
#include "kvstore/recovery/backup_folder.h"
#include "kvstore/recovery/backup_segment.h"
#include "kvstore/recovery/snapshot_file.h"

namespace keel::kvstore {

using base::StrCat;

namespace {

constexpr size_t kBatchBytes = 4 << 20;
// How long behind a key the time to live of its lease is looked for.
constexpr WallMicros kLeaseAnswers = 60'000'000;

std::string Describe(const BackupRange& range) {
  return StrCat("revisions ", range.bases[0].revision, " to ", range.last, " and times ",
                FormatWallTime(range.bases[0].time), " to ", FormatWallTime(range.until));
}

absl::Status NotHeld(const std::string& dir, std::string_view what,
                     const std::vector<BackupRange>& ranges) {
  std::string held;
  for (const BackupRange& range : ranges) held += (held.empty() ? "" : "; ") + Describe(range);
  return absl::OutOfRangeError(StrCat("backup ", dir, " does not hold ", what, ": it holds ",
                                      held.empty() ? "no base yet" : held));
}

// The range that holds the target, and the newest base at or before it.
absl::StatusOr<std::pair<const BackupRange*, const BackupBase*>> Find(
    const std::string& dir, const std::vector<BackupRange>& ranges, const BackupTarget& target) {
  const auto newest = [](const BackupRange& range, auto&& fits) {
    const BackupBase* found = nullptr;
    for (const BackupBase& base : range.bases) {
      if (fits(base)) found = &base;
    }
    return found;
  };
  // A later range first: it may hold the same revision with a newer base.
  for (auto range = ranges.rbegin(); range != ranges.rend(); ++range) {
    const BackupBase* base = nullptr;
    if (target.revision) {
      if (*target.revision > range->last) continue;
      base =
          newest(*range, [&](const BackupBase& each) { return each.revision <= *target.revision; });
    } else if (target.time) {
      if (*target.time > range->until) continue;
      base = newest(*range, [&](const BackupBase& each) { return each.time <= *target.time; });
    } else {
      base = &range->bases.back();
    }
    if (base != nullptr) return std::make_pair(&*range, base);
  }
  if (target.revision) return NotHeld(dir, StrCat("revision ", *target.revision), ranges);
  if (target.time) return NotHeld(dir, FormatWallTime(*target.time), ranges);
  return NotHeld(dir, "anything to restore", ranges);
}

// Makes the changes of a backup anew in the store that its base became.
class Replay {
 public:
  Replay(Store& store, const BackupTarget& target) : store_(store), target_(target) {}

  absl::Status Run(base::FileSystem& fs, const std::string& dir, const BackupRange& range,
                   uint64_t cluster_id) {
    KEEL_RETURN_IF_ERROR(
        store_.ScanLeases([this](int64_t id, int64_t, int64_t) { known_.insert(id); }));
    const int64_t base = writer().revision();
    for (const BackupSegment& segment : range.segments) {
      if (finished_ || segment.last <= base) continue;
      KEEL_ASSIGN_OR_RETURN(const auto reader, SegmentReader::Open(fs, dir, segment, cluster_id));
      KEEL_RETURN_IF_ERROR(Segment(dir + "/" + segment.name, *reader, range.last));
    }
    const int64_t wanted = target_.revision ? *target_.revision
                           : target_.time   ? writer().revision()
                                            : range.last;
    if (writer().revision() != wanted) {
      return absl::DataLossError(StrCat("backup ", dir, " ends at revision ", writer().revision(),
                                        " instead of ", wanted));
    }
    KEEL_RETURN_IF_ERROR(Commit());
    return GrantLeases();
  }

 private:
  Writer& writer() { return store_.writer(); }

  // Whether the store stands where it should before `record`. What was written to the open segment
  // after it was listed lies beyond `last`.
  bool Reached(const BackupRecord& record, int64_t last) {
    if (target_.time && record.time > *target_.time) return true;
    return writer().revision() >= std::min(last, target_.revision.value_or(last));
  }

  absl::Status Segment(const std::string& path, SegmentReader& reader, int64_t last) {
    BackupRecord record;
    while (true) {
      const uint64_t offset = reader.offset();
      const absl::StatusOr<bool> more = reader.Next(&record);
      if (reached_ && !more.ok()) finished_ = true;  // nothing that is needed is lost
      if (finished_ || (more.ok() && !*more)) return absl::OkStatus();
      KEEL_RETURN_IF_ERROR(more.status());
      if (!reached_ && Reached(record, last)) {
        reached_ = true;
        reached_at_ = record.time;
      }
      // What a lease was granted for is known a moment after its first key.
      if (reached_ && (record.time > reached_at_ + kLeaseAnswers || AllLeasesKnown())) {
        finished_ = true;
        return absl::OkStatus();
      }
      absl::Status made;
      if (record.type == BackupRecordType::kLease) {
        made = Learn(record.body);
      } else if (!reached_ && record.type == BackupRecordType::kRevision &&
                 record.revision > writer().revision()) {
        made = Revision(record);
      }
      if (absl::IsDataLoss(made)) {
        return absl::DataLossError(
            StrCat("backup segment ", path, ", byte ", offset, ": ", base::ToStd(made.message())));
      }
      KEEL_RETURN_IF_ERROR(made);
    }
  }

  bool AllLeasesKnown() const {
    return std::all_of(used_.begin(), used_.end(),
                       [this](int64_t id) { return ttls_.contains(id); });
  }

  absl::Status Learn(std::string_view body) {
    KEEL_ASSIGN_OR_RETURN(const std::vector<BackupLease> leases, DecodeLeases(body));
    for (const BackupLease& lease : leases) ttls_[lease.id] = lease.granted_ttl;
    return absl::OkStatus();
  }

  absl::Status Revision(const BackupRecord& record) {
    if (record.revision != writer().revision() + 1) {
      return absl::DataLossError(
          StrCat("revision ", record.revision, " behind revision ", writer().revision()));
    }
    KEEL_ASSIGN_OR_RETURN(const BackupEvents events, DecodeEvents(record.body));
    std::set<std::string_view> put;
    writer().Begin();
    for (const mvccpb::Event& event : events) {
      const mvccpb::KeyValue& kv = event.kv();
      if (kv.key().empty() || kv.mod_revision() != record.revision) {
        return absl::DataLossError(StrCat("an event of revision ", kv.mod_revision(),
                                          " among those of ", record.revision));
      }
      if (event.type() == mvccpb::Event::DELETE) {
        KEEL_ASSIGN_OR_RETURN(
            const int64_t deleted,
            writer().DeleteRange(KeyRange::Of(kv.key(), ""), [](const RecordView&) {}));
        if (deleted != 1) return Misfit(record.revision);
        continue;
      }
      if (!put.insert(kv.key()).second) return Misfit(record.revision);
      KEEL_RETURN_IF_ERROR(writer().Put(kv.key(), kv.value(), kv.lease()).status());
      KEEL_ASSIGN_OR_RETURN(const auto now, writer().Get(kv.key()));
      if (now->version != kv.version() || now->create_revision != kv.create_revision()) {
        return Misfit(record.revision);
      }
      if (kv.lease() != 0 && !known_.contains(kv.lease())) used_.insert(kv.lease());
    }
    writer().End();
    return writer().pending_bytes() > kBatchBytes ? Commit() : absl::OkStatus();
  }

  static absl::Status Misfit(int64_t revision) {
    return absl::DataLossError(
        StrCat("the events of revision ", revision, " do not fit what was there before"));
  }

  absl::Status Commit() {
    KEEL_RETURN_IF_ERROR(store_.Commit(store_.applied_index(), store_.applied_term()));
    writer().TakeFeed();  // nobody listens
    return absl::OkStatus();
  }

  // Keys of a lease that does not exist would stay for ever.
  absl::Status GrantLeases() {
    std::vector<int64_t> missing;
    for (const int64_t id : used_) {
      KEEL_ASSIGN_OR_RETURN(const std::vector<std::string> keys, writer().LeaseKeys(id));
      if (!keys.empty()) missing.push_back(id);
    }
    for (const int64_t id : missing) {
      const auto ttl = ttls_.find(id);
      writer().PutLease(id, ttl == ttls_.end() ? kUnknownLeaseTtl : ttl->second, 0);
    }
    return Commit();
  }

  Store& store_;
  const BackupTarget& target_;
  bool reached_ = false;
  WallMicros reached_at_ = 0;
  bool finished_ = false;
  std::set<int64_t> known_;          // leases of the base
  std::set<int64_t> used_;           // of keys put since, and not known
  std::map<int64_t, int64_t> ttls_;  // as far as they were asked about
};

}  // namespace

absl::StatusOr<std::vector<BackupRange>> ListBackup(base::FileSystem& fs, const std::string& dir) {
  KEEL_ASSIGN_OR_RETURN(BackupCatalogue catalogue, ReadCatalogue(fs, dir));
  std::vector<BackupRange> chains;
  for (BackupSegment& segment : catalogue.segments) {
    uint64_t torn = 0;
    if (segment.open) {
      KEEL_ASSIGN_OR_RETURN(const auto reader,
                            SegmentReader::Open(fs, dir, segment, catalogue.cluster_id));
      BackupRecord record;
      while (true) {
        KEEL_ASSIGN_OR_RETURN(const bool more, reader->Next(&record));
        if (!more) break;
      }
      segment.last = reader->last_revision();
      segment.until = reader->last_time();
      segment.bytes = reader->offset();
      torn = reader->torn_bytes();
    }
    if (chains.empty() || chains.back().last + 1 != segment.first) chains.emplace_back();
    BackupRange& chain = chains.back();
    chain.last = segment.last;
    chain.until = segment.until;
    chain.torn_bytes = torn;
    chain.segments.push_back(std::move(segment));
  }
  for (const BackupBase& base : catalogue.bases) {
    for (auto chain = chains.rbegin(); chain != chains.rend(); ++chain) {
      if (base.revision + 1 < chain->segments[0].first || base.revision > chain->last) continue;
      chain->bases.push_back(base);
      chain->until = std::max(chain->until, base.time);
      break;
    }
  }
  std::erase_if(chains, [](const BackupRange& chain) { return chain.bases.empty(); });
  for (BackupRange& chain : chains) {
    std::stable_sort(
        chain.bases.begin(), chain.bases.end(),
        [](const BackupBase& a, const BackupBase& b) { return a.revision < b.revision; });
  }
  return chains;
}

absl::StatusOr<BackupCheck> VerifyBackup(base::FileSystem& fs, const std::string& dir,
                                         absl::FunctionRef<void(uint64_t, uint64_t)> progress) {
  KEEL_ASSIGN_OR_RETURN(const BackupCatalogue catalogue, ReadCatalogue(fs, dir));
  BackupCheck check;
  const auto damaged = [&check](const absl::Status& status) {
    check.damage.emplace_back(base::ToStd(status.message()));
  };
  uint64_t total = 0;
  for (const BackupBase& base : catalogue.bases) total += base.bytes;
  for (const BackupSegment& segment : catalogue.segments) total += segment.bytes;
  for (const BackupBase& base : catalogue.bases) {
    const std::string path = dir + "/" + base.name;
    const auto header = VerifySnapshot(fs, path, SnapshotHash::kRequired);
    if (!header.ok()) {
      damaged(header.status());
    } else if (header->revision != base.revision || header->cluster_id != catalogue.cluster_id) {
      damaged(absl::DataLossError(StrCat("backup base ", path,
                                         " is another one than the catalogue lists: of revision ",
                                         header->revision, ", not ", base.revision)));
    }
    ++check.bases;
    check.bytes += base.bytes;
    progress(check.bytes, total);
  }
  for (const BackupSegment& segment : catalogue.segments) {
    ++check.segments;
    auto reader = SegmentReader::Open(fs, dir, segment, catalogue.cluster_id);
    if (!reader.ok()) {
      damaged(reader.status());
      continue;
    }
    BackupRecord record;
    while (true) {
      const uint64_t offset = (*reader)->offset();
      const absl::StatusOr<bool> more = (*reader)->Next(&record);
      if (!more.ok()) damaged(more.status());
      if (!more.ok() || !*more) break;
      absl::Status body;
      if (record.type == BackupRecordType::kRevision) {
        body = DecodeEvents(record.body).status();
        ++check.revisions;
      } else if (record.type == BackupRecordType::kLease) {
        body = DecodeLeases(record.body).status();
      }
      if (!body.ok()) {
        damaged(absl::DataLossError(StrCat("backup segment ", dir, "/", segment.name,
                                           " is damaged at byte ", offset, ": ",
                                           base::ToStd(body.message()))));
      }
    }
    check.bytes += (*reader)->offset();
    progress(check.bytes, std::max(total, check.bytes));
    if ((*reader)->torn_bytes() > 0) {
      check.notes.push_back(StrCat("backup segment ", dir, "/", segment.name,
                                   " has a torn tail: ", (*reader)->torn_bytes(),
                                   " bytes from byte ", (*reader)->offset(),
                                   " on, of a write that a crash interrupted or that goes on now"));
    }
  }
  return check;
}

absl::StatusOr<RestoreResult> RestoreBackup(base::FileSystem& fs, const std::string& dir,
                                            const BackupTarget& target, RestoreOptions options,
                                            SnapshotProgress progress) {
  if (target.revision && target.time) {
    return absl::InvalidArgumentError("give --revision or --time, not both");
  }
  KEEL_ASSIGN_OR_RETURN(const std::vector<BackupRange> ranges, ListBackup(fs, dir));
  KEEL_ASSIGN_OR_RETURN(const auto found, Find(dir, ranges, target));
  KEEL_ASSIGN_OR_RETURN(const BackupCatalogue catalogue, ReadCatalogue(fs, dir));
  options.snapshot = dir + "/" + found.second->name;
  options.prepare = [&](Store& store) {
    return Replay(store, target).Run(fs, dir, *found.first, catalogue.cluster_id);
  };
  return RestoreSnapshotFile(fs, options, progress);
}

}  // namespace keel::kvstore
