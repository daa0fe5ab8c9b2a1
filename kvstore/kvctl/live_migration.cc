#include "kvstore/kvctl/live_migration.h"

#include <iostream>
#include <map>
#include <memory>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"
#include "kvstore/recovery/snapshot_file.h"

namespace keel::kvctl {
namespace {

using base::StrCat;
using etcdserverpb::RangeResponse;
using kvstore::kAllEnd;
using Clock = std::chrono::steady_clock;

constexpr int64_t kPageKeys = 500;
constexpr size_t kTxnBytes = 1 << 20;  // servers take 1.5 MiB
constexpr base::Duration kRetry = std::chrono::seconds(1);

bool IsPassing(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

// Whoever is asked may be away for a while.
template <typename Request>
absl::StatusOr<kvstore::ResponseOf<Request>> Insist(kvstore::Client& client,
                                                    const Request& request) {
  while (true) {
    auto response = client.Await(request);
    if (response.ok() || !IsPassing(response.status())) return response;
    base::Log().warn("a server does not answer and is asked again status={}",
                     response.status().ToString());
    std::this_thread::sleep_for(kRetry);
  }
}

// The keys of a cluster at one revision, in order.
class Reader {
 public:
  // Revision 0: the newest, when the first page is read.
  Reader(kvstore::Client& client, int64_t revision) : client_(client), revision_(revision) {}

  // Null behind the last one. Valid until the next call.
  absl::StatusOr<const mvccpb::KeyValue*> Next() {
    if (at_ == page_.kvs_size()) {
      if (over_) return nullptr;
      KEEL_ASSIGN_OR_RETURN(page_,
                            Insist(client_, kvstore::MakeGet(from_, {.range_end = kAllEnd,
                                                                     .limit = kPageKeys,
                                                                     .revision = revision_})));
      if (revision_ == 0) revision_ = page_.header().revision();
      over_ = !page_.more();
      at_ = 0;
      if (page_.kvs().empty()) return nullptr;
      from_ = page_.kvs(page_.kvs_size() - 1).key() + '\0';
    }
    return &page_.kvs(at_++);
  }
  int64_t revision() const { return revision_; }

 private:
  kvstore::Client& client_;
  int64_t revision_;
  std::string from_ = kAllEnd;
  RangeResponse page_;
  int at_ = 0;
  bool over_ = false;
};

struct Contents {
  int64_t revision = 0;
  uint64_t keys = 0;
  std::string hash;  // SHA-256 of the keys and values, each behind its length

  std::string Describe() const {
    return StrCat("revision ", revision, ", ", keys, " keys, sha256 ",
                  absl::BytesToHexString(hash));
  }
};

absl::StatusOr<Contents> HashOf(kvstore::Client& client, int64_t revision) {
  Reader reader(client, revision);
  kvstore::Sha256 sha;
  Contents contents;
  while (true) {
    KEEL_ASSIGN_OR_RETURN(const mvccpb::KeyValue* kv, reader.Next());
    if (kv == nullptr) break;
    for (const std::string& part : {kv->key(), kv->value()}) {
      sha.Add(absl::StrFormat("%016x", part.size()));
      sha.Add(part);
    }
    ++contents.keys;
  }
  contents.revision = reader.revision();
  contents.hash = sha.Finish();
  return contents;
}

class Migration {
 public:
  Migration(kvstore::Client& from, kvstore::Client& to, const LiveMigrationOptions& options)
      : from_(from), to_(to), options_(options) {}

  absl::Status Run() {
    KEEL_RETURN_IF_ERROR(CheckState());
    KEEL_RETURN_IF_ERROR(AdoptLeases());
    while (true) {
      KEEL_RETURN_IF_ERROR(MakeEqual());
      KEEL_ASSIGN_OR_RETURN(const bool done, Follow());
      if (done) return absl::OkStatus();
    }
  }

 private:
  // ---- which clusters

  absl::Status CheckState() {
    base::FileSystem& fs = base::PosixFileSystem();
    KEEL_ASSIGN_OR_RETURN(const auto source, Insist(from_, kvstore::MakeGet(kAllEnd)));
    KEEL_ASSIGN_OR_RETURN(
        const auto destination,
        Insist(to_, kvstore::MakeGet(kAllEnd, {.range_end = kAllEnd, .count_only = true})));
    const std::string state =
        absl::StrFormat("keel-migrate 1 from %x to %x\n", source.header().cluster_id(),
                        destination.header().cluster_id());
    if (fs.Exists(options_.state_path)) {
      KEEL_ASSIGN_OR_RETURN(const std::string before, base::ReadFile(fs, options_.state_path));
      if (before == state) return absl::OkStatus();
      return absl::FailedPreconditionError(
          StrCat(options_.state_path, " is of a migration between other clusters"));
    }
    if (destination.count() > 0) {
      return absl::FailedPreconditionError(StrCat("the destination holds ", destination.count(),
                                                  " keys, and there is no ", options_.state_path,
                                                  " that says they are of this migration"));
    }
    if (source.header().cluster_id() == destination.header().cluster_id()) {
      return absl::FailedPreconditionError("source and destination are one cluster");
    }
    return base::WriteFileAtomic(fs, options_.state_path, state);
  }

  // ---- leases: the same ids there, kept alive from here

  // Those that an earlier run has granted.
  absl::Status AdoptLeases() {
    KEEL_ASSIGN_OR_RETURN(const auto leases, Insist(to_, etcdserverpb::LeaseLeasesRequest()));
    for (const auto& lease : leases.leases()) {
      KEEL_ASSIGN_OR_RETURN(const int64_t there, LeaseThere(lease.id()));
      if (there == 0) leases_[lease.id()] = nullptr;  // DropLeases will see to it
    }
    return absl::OkStatus();
  }

  // The lease to put a key with; 0 when it is gone at the source, as its keys will be.
  absl::StatusOr<int64_t> LeaseThere(int64_t id) {
    if (id == 0 || leases_.contains(id)) return id;
    etcdserverpb::LeaseTimeToLiveRequest ask;
    ask.set_id(id);
    const auto here = Insist(from_, ask);
    if (absl::IsNotFound(here.status())) return 0;
    KEEL_RETURN_IF_ERROR(here.status());
    if (here->ttl() <= 0) return 0;
    etcdserverpb::LeaseGrantRequest grant;
    grant.set_id(id);
    grant.set_ttl(here->grantedttl());
    const auto granted = Insist(to_, grant);
    if (!granted.ok() && !absl::IsFailedPrecondition(granted.status()) &&
        !absl::IsAlreadyExists(granted.status())) {  // it is there
      return granted.status();
    }
    leases_[id] = to_.KeepAlive(id, nullptr, nullptr);
    return id;
  }

  // Those that went at the source while they had no keys.
  absl::Status DropLeases() {
    for (auto& [id, keeper] : leases_) {
      etcdserverpb::LeaseTimeToLiveRequest ask;
      ask.set_id(id);
      const auto here = Insist(from_, ask);
      if (!absl::IsNotFound(here.status())) {
        KEEL_RETURN_IF_ERROR(here.status());
        if (here->ttl() > 0) continue;
      }
      keeper = nullptr;
      ask.set_keys(true);
      const auto there = Insist(to_, ask);
      if (!there.ok() || there->ttl() <= 0 || !there->keys().empty()) continue;
      etcdserverpb::LeaseRevokeRequest revoke;
      revoke.set_id(id);
      Insist(to_, revoke).status().IgnoreError();  // it runs out by itself
    }
    return absl::OkStatus();
  }

  // ---- writing

  absl::Status Put(const mvccpb::KeyValue& kv) {
    KEEL_ASSIGN_OR_RETURN(const int64_t lease, LeaseThere(kv.lease()));
    KEEL_RETURN_IF_ERROR(MakeRoom(kv.key()));
    txn_.Then(kvstore::MakePut(kv.key(), kv.value(), {.lease = lease}));
    bytes_ += kv.key().size() + kv.value().size();
    return absl::OkStatus();
  }
  absl::Status Delete(const std::string& key) {
    KEEL_RETURN_IF_ERROR(MakeRoom(key));
    txn_.Then(kvstore::MakeDelete(key));
    bytes_ += key.size();
    return absl::OkStatus();
  }
  // A key may be written once in a transaction.
  absl::Status MakeRoom(const std::string& key) {
    if (keys_.contains(key) || static_cast<int>(keys_.size()) >= options_.max_txn_ops ||
        bytes_ > kTxnBytes) {
      KEEL_RETURN_IF_ERROR(Send());
    }
    keys_.insert(key);
    return absl::OkStatus();
  }
  // Puts and deletions: what was done is done again without harm.
  absl::Status Send() {
    if (keys_.empty()) return absl::OkStatus();
    KEEL_RETURN_IF_ERROR(Insist(to_, txn_.request()).status());
    written_ += keys_.size();
    keys_.clear();
    bytes_ = 0;
    txn_ = kvstore::TxnBuilder();
    return absl::OkStatus();
  }

  // ---- copying

  absl::Status MakeEqual() {
    Reader source(from_, 0), destination(to_, 0);
    KEEL_ASSIGN_OR_RETURN(const mvccpb::KeyValue* here, source.Next());
    KEEL_ASSIGN_OR_RETURN(const mvccpb::KeyValue* there, destination.Next());
    while (here != nullptr || there != nullptr) {
      const int order = here == nullptr    ? 1
                        : there == nullptr ? -1
                                           : here->key().compare(there->key());
      if (order < 0) {
        KEEL_RETURN_IF_ERROR(Put(*here));
      } else if (order > 0) {
        KEEL_RETURN_IF_ERROR(Delete(there->key()));
      } else if (here->value() != there->value() || here->lease() != there->lease()) {
        KEEL_RETURN_IF_ERROR(Put(*here));
      }
      if (order <= 0) {
        auto next = source.Next();
        if (absl::IsOutOfRange(next.status())) return Again();
        KEEL_RETURN_IF_ERROR(next.status());
        here = *next;
      }
      if (order >= 0) {
        KEEL_ASSIGN_OR_RETURN(there, destination.Next());
      }
      Report();
    }
    KEEL_RETURN_IF_ERROR(Send());
    followed_ = source.revision();
    base::Log().info("copied revision={} written={}", followed_, written_);
    return absl::OkStatus();
  }

  // The revision that was copied was compacted meanwhile.
  absl::Status Again() {
    KEEL_RETURN_IF_ERROR(Send());
    base::Log().warn("the source compacted what was being copied: it is gone through again");
    return MakeEqual();
  }

  // True when it is over; false when history was compacted before it was read.
  absl::StatusOr<bool> Follow() {
    kvstore::WatchReader reader(from_, kAllEnd,
                                {.range_end = kAllEnd,
                                 .start_revision = followed_ + 1,
                                 .progress_notify = true,
                                 .fragment = true});
    changed_at_ = Clock::now();
    while (true) {
      const auto response = reader.Next(std::chrono::milliseconds(200));
      Report();
      if (absl::IsDeadlineExceeded(response.status())) {
        KEEL_ASSIGN_OR_RETURN(const bool over, CutOver());
        if (over) return true;
        continue;
      }
      if (!response.ok()) {
        const kvstore::WatchEnd end = *reader.end();
        if (absl::IsOutOfRange(end.status)) return false;
        if (!IsPassing(end.status)) return end.status;
        base::Log().warn("the source is away and is tried again status={}", end.status.ToString());
        std::this_thread::sleep_for(kRetry);
        return false;
      }
      for (const auto& event : response->events()) {
        changed_at_ = Clock::now();
        followed_ = event.kv().mod_revision();
        KEEL_RETURN_IF_ERROR(event.type() == mvccpb::Event::DELETE ? Delete(event.kv().key())
                                                                   : Put(event.kv()));
      }
      KEEL_RETURN_IF_ERROR(Send());
    }
  }

  // Once nothing has changed for long enough: whether both sides hold the same.
  absl::StatusOr<bool> CutOver() {
    if (!options_.cut_over || Clock::now() - changed_at_ < options_.quiet) return false;
    KEEL_ASSIGN_OR_RETURN(const auto now, Insist(from_, kvstore::MakeGet(kAllEnd)));
    if (now.header().revision() != followed_) return false;  // it is on its way
    KEEL_RETURN_IF_ERROR(DropLeases());
    KEEL_ASSIGN_OR_RETURN(const Contents source, HashOf(from_, followed_));
    KEEL_ASSIGN_OR_RETURN(const Contents destination, HashOf(to_, 0));
    KEEL_ASSIGN_OR_RETURN(const auto then, Insist(from_, kvstore::MakeGet(kAllEnd)));
    if (then.header().revision() != followed_) return false;
    std::cout << "source:      " << source.Describe() << "\ndestination: " << destination.Describe()
              << "\n";
    if (source.hash != destination.hash) {
      return absl::DataLossError(
          "source and destination differ, though all was copied: does somebody else write there?");
    }
    std::cout << "they hold the same: clients can be pointed to the destination" << std::endl;
    return true;
  }

  void Report() {
    if (Clock::now() < next_report_) return;
    next_report_ = Clock::now() + options_.report_interval;
    const auto now = from_.Get(kAllEnd);
    if (!now.ok()) return;
    base::Log().info("migration {}revision={} source={} lag={} written={} leases={}",
                     followed_ == 0 ? "copies " : "follows ", followed_, now->header().revision(),
                     now->header().revision() - followed_, written_, leases_.size());
  }

  kvstore::Client& from_;
  kvstore::Client& to_;
  const LiveMigrationOptions& options_;
  std::map<int64_t, std::unique_ptr<kvstore::LeaseKeeper>> leases_;
  kvstore::TxnBuilder txn_;
  std::set<std::string> keys_;  // in it
  size_t bytes_ = 0;            // in it
  uint64_t written_ = 0;
  int64_t followed_ = 0;  // revision of the source up to which all is there
  Clock::time_point changed_at_, next_report_ = Clock::now();
};

}  // namespace

Outcome MigrateLive(kvstore::Client& from, kvstore::Client& to,
                    const LiveMigrationOptions& options) {
  const absl::Status ended = Migration(from, to, options).Run();
  return ended.ok() ? Success() : FailWith(ended);
}

}  // namespace keel::kvctl
