#include "kvstore/kvctl/backup_runner.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"
#include "kvstore/kvctl/go_format.h"
#include "kvstore/kvctl/save_snapshot.h"
#include "kvstore/recovery/backup_folder.h"
#include "kvstore/recovery/snapshot_file.h"

namespace keel::kvctl {
namespace {

using base::StrCat;
using kvstore::BackupBase;
using kvstore::BackupEvents;
using kvstore::BackupFolder;
using kvstore::WallMicros;
using std::chrono::duration_cast;
using std::chrono::microseconds;
using Clock = std::chrono::steady_clock;

constexpr base::Duration kRetry = std::chrono::seconds(1);       // of a watch that was refused
constexpr base::Duration kBaseRetry = std::chrono::seconds(10);  // of a base that failed
constexpr base::Duration kAuthPoll = std::chrono::seconds(5);
// Nothing happened: how often that is written down, so that times can be told apart.
constexpr base::Duration kIdleClock = std::chrono::seconds(10);
constexpr base::Duration kStopPoll = std::chrono::milliseconds(200);
constexpr uint64_t kFlushBytes = 8 << 20;  // sooner than the interval
constexpr size_t kLeaseCallsMax = 256;     // at once
constexpr size_t kLeasesRemembered = 1 << 20;

WallMicros WallNow() { return absl::ToUnixMicros(absl::Now()); }

std::atomic<bool> stopping{false};

void StopOnSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread([signals] {
    int signal = 0;
    while (sigwait(&signals, &signal) != 0) {
    }
    stopping = true;
  }).detach();
}

// Asks what leases were granted for, as they show up.
class LeaseInquiry {
 public:
  explicit LeaseInquiry(kvstore::Client& client) : client_(client), answers_(new Answers) {}

  void Ask(int64_t id) {
    if (asked_.size() >= kLeasesRemembered) asked_.clear();
    if (!asked_.insert(id).second) return;
    waiting_.push_back(id);
    Send();
  }

  // What has come since the last call.
  std::vector<kvstore::BackupLease> Take() {
    Send();
    std::lock_guard lock(answers_->mutex);
    return std::exchange(answers_->leases, {});
  }

 private:
  struct Answers {
    std::mutex mutex;
    size_t calls = 0;
    std::vector<kvstore::BackupLease> leases;
  };

  void Send() {
    while (!waiting_.empty()) {
      {
        std::lock_guard lock(answers_->mutex);
        if (answers_->calls >= kLeaseCallsMax) return;
        ++answers_->calls;
      }
      etcdserverpb::LeaseTimeToLiveRequest request;
      request.set_id(waiting_.front());
      waiting_.pop_front();
      client_.Call(request, [answers = answers_](const auto& response) {
        std::lock_guard lock(answers->mutex);
        --answers->calls;
        if (response.ok() && response->grantedttl() > 0) {
          answers->leases.push_back({response->id(), response->grantedttl()});
        }
      });
    }
  }

  kvstore::Client& client_;
  const std::shared_ptr<Answers> answers_;
  std::set<int64_t> asked_;
  std::deque<int64_t> waiting_;
};

// Takes one base at a time, on a thread of its own.
class BaseTaker {
 public:
  BaseTaker(std::unique_ptr<kvstore::Client> client, std::vector<std::string> endpoints,
            std::string dir, uint64_t cluster_id)
      : client_(std::move(client)),
        endpoints_(std::move(endpoints)),
        dir_(std::move(dir)),
        cluster_id_(cluster_id) {}
  // Ends what is under way.
  ~BaseTaker() {
    over_ = true;
    if (thread_.joinable()) thread_.join();
  }

  bool busy() const { return thread_.joinable(); }
  // REQUIRES: !busy().
  void Start(std::string name) {
    done_ = false;
    thread_ = std::thread([this, name = std::move(name)] {
      result_ = Take(name);
      done_ = true;
    });
  }
  // The base, once; nullopt while there is none.
  std::optional<absl::StatusOr<BackupBase>> Result() {
    if (!thread_.joinable() || !done_) return std::nullopt;
    thread_.join();
    return std::move(result_);
  }

 private:
  absl::StatusOr<BackupBase> Take(const std::string& name) {
    base::FileSystem& fs = base::PosixFileSystem();
    BackupBase base;
    base.name = name;
    // Asked first: a change that comes meanwhile leads to another base.
    KEEL_ASSIGN_OR_RETURN(const auto auth, client_->Await(etcdserverpb::AuthStatusRequest()));
    base.auth_revision = auth.authrevision();
    const std::string path = dir_ + "/" + name;
    const std::string& endpoint = endpoints_[next_endpoint_++ % endpoints_.size()];
    KEEL_RETURN_IF_ERROR(SaveSnapshot(*client_, endpoint, fs, path, [this](uint64_t, uint64_t) {
      return over_ ? absl::CancelledError("stopped") : absl::OkStatus();
    }));
    // The hash over the whole was looked at as it came.
    const auto header = kvstore::VerifySnapshot(fs, path, kvstore::SnapshotHash::kSkipped);
    absl::Status bad = header.status();
    if (bad.ok() && header->cluster_id != cluster_id_) {
      bad = absl::FailedPreconditionError(StrCat(endpoint, " belongs to another cluster"));
    }
    if (!bad.ok()) {
      fs.Remove(path).IgnoreError();  // the error is the news
      return bad;
    }
    base.revision = header->revision;
    base.compact_revision = header->compact_revision;
    base.bytes = kvstore::SnapshotBytes(*header) + kvstore::kSnapshotHashBytes;
    return base;
  }

  const std::unique_ptr<kvstore::Client> client_;
  const std::vector<std::string> endpoints_;
  const std::string dir_;
  const uint64_t cluster_id_;
  size_t next_endpoint_ = 0;
  std::thread thread_;
  std::atomic<bool> over_{false};
  std::atomic<bool> done_{false};
  absl::StatusOr<BackupBase> result_ = absl::UnknownError("no base yet");
};

class Runner {
 public:
  Runner(const BackupRunOptions& options, kvstore::Client& client,
         std::unique_ptr<BackupFolder> folder, std::unique_ptr<BaseTaker> taker)
      : options_(options),
        client_(client),
        folder_(std::move(folder)),
        taker_(std::move(taker)),
        leases_(client) {}

  // Returns when it is told to stop (OK), or with what makes going on useless.
  absl::Status Run() {
    while (!stopping) {
      if (!folder_->following()) {
        KEEL_ASSIGN_OR_RETURN(const int64_t now, RevisionNow());
        KEEL_RETURN_IF_ERROR(folder_->Begin(now + 1, WallNow()));
        base_retry_at_ = {};
      }
      kvstore::WatchReader reader(client_, kvstore::kAllEnd,
                                  {.range_end = kvstore::kAllEnd,
                                   .start_revision = folder_->last_revision() + 1,
                                   .progress_notify = true,
                                   .fragment = true});
      const absl::Status ended = Follow(reader);
      if (!ended.ok() && !absl::IsDataLoss(ended)) return ended;
      if (reader.end() && absl::IsOutOfRange(reader.end()->status)) {
        base::Log().warn(
            "history was compacted before it could be read: a new chain begins, with a new base "
            "revision={} compacted={}",
            folder_->last_revision(), reader.end()->compact_revision);
        KEEL_RETURN_IF_ERROR(NewChain());
      } else if (absl::IsDataLoss(ended)) {
        base::Log().error("a new chain begins, with a new base status={}", ended.ToString());
        KEEL_RETURN_IF_ERROR(NewChain());
      } else if (reader.end() && !stopping) {
        base::Log().warn("the watch ended and is tried again status={}",
                         reader.end()->status.ToString());
        Pause(kRetry);
      }
    }
    KEEL_RETURN_IF_ERROR(FlushIfDue(/*now=*/true));
    Report(/*now=*/true);
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<int64_t> RevisionNow() {
    while (true) {
      const auto got = client_.Get(kvstore::kAllEnd);
      if (got.ok()) return got->header().revision();
      const bool passing =
          absl::IsUnavailable(got.status()) || absl::IsDeadlineExceeded(got.status());
      if (stopping || !passing) return got.status();
      Pause(kRetry);
    }
  }

  absl::Status NewChain() {
    KEEL_RETURN_IF_ERROR(FlushIfDue(/*now=*/true));
    KEEL_ASSIGN_OR_RETURN(const int64_t now, RevisionNow());
    base_retry_at_ = {};
    return folder_->Begin(now + 1, WallNow());
  }

  static void Pause(base::Duration time) {
    for (const auto end = Clock::now() + time; !stopping && Clock::now() < end;) {
      std::this_thread::sleep_for(std::min<base::Duration>(kStopPoll, time));
    }
  }

  // Until the watch ends, or it is told to stop (both OK: the reader knows). DataLoss: the server
  // left something out. Any other error is the folder's.
  absl::Status Follow(kvstore::WatchReader& reader) {
    while (!stopping) {
      const base::Duration wait =
          std::clamp<base::Duration>(next_flush_ - Clock::now(), base::Duration::zero(), kStopPoll);
      const auto response = reader.Next(wait);
      if (response.ok()) {
        heard_ = WallNow();
        KEEL_RETURN_IF_ERROR(Take(*response));
      } else if (!absl::IsDeadlineExceeded(response.status())) {
        return absl::OkStatus();
      }
      KEEL_RETURN_IF_ERROR(FlushIfDue(/*now=*/false));
      if (Clock::now() >= next_progress_) {
        next_progress_ = Clock::now() + options_.segment_interval;
        reader.RequestProgress();
      }
      KEEL_RETURN_IF_ERROR(TendBases());
      PollAuth();
      Report(/*now=*/false);
    }
    return absl::OkStatus();
  }

  absl::Status Take(const etcdserverpb::WatchResponse& response) {
    if (response.events().empty()) {
      if (response.header().revision() > folder_->last_revision()) {
        return absl::DataLossError(
            StrCat("the server is at revision ", response.header().revision(),
                   " and sent no events behind revision ", folder_->last_revision()));
      }
      return absl::OkStatus();
    }
    BackupEvents events;
    for (int i = 0; i < response.events_size(); ++i) {
      const mvccpb::Event& event = response.events(i);
      const int64_t revision = event.kv().mod_revision();
      *events.Add() = event;
      if (event.kv().lease() != 0) leases_.Ask(event.kv().lease());
      if (i + 1 < response.events_size() && response.events(i + 1).kv().mod_revision() == revision)
        continue;
      if (revision != folder_->last_revision() + 1) {
        return absl::DataLossError(StrCat("the server sent revision ", revision,
                                          " behind revision ", folder_->last_revision()));
      }
      folder_->AddRevision(revision, events, heard_);
      events.Clear();
    }
    return absl::OkStatus();
  }

  absl::Status FlushIfDue(bool now) {
    if (!folder_->following()) return absl::OkStatus();
    const auto time = Clock::now();
    if (!now && time < next_flush_ && folder_->unflushed_bytes() < kFlushBytes) {
      return absl::OkStatus();
    }
    next_flush_ = time + options_.segment_interval;
    folder_->AddLeases(leases_.Take(), heard_);
    const bool idle = folder_->unflushed_bytes() == 0;
    if (idle && (heard_ == written_ || (!now && time < next_clock_))) return absl::OkStatus();
    const uint64_t before = folder_->segment_bytes() - folder_->unflushed_bytes();
    KEEL_RETURN_IF_ERROR(folder_->Flush(heard_));
    written_ = heard_;
    bytes_ += folder_->segment_bytes() - before;
    next_clock_ = time + kIdleClock;
    if (folder_->segment_bytes() >= options_.segment_bytes) {
      KEEL_RETURN_IF_ERROR(folder_->Rotate(WallNow()));
    }
    return absl::OkStatus();
  }

  bool BaseIsDue() const {
    const BackupBase* newest = folder_->newest_base();
    if (newest == nullptr) return true;
    const WallMicros age = WallNow() - newest->time;
    return age >= duration_cast<microseconds>(options_.base_interval).count() ||
           (auth_->revision != 0 && auth_->revision != newest->auth_revision);
  }

  absl::Status TendBases() {
    if (!pending_) {
      if (auto result = taker_->Result()) {
        if (result->ok()) {
          pending_ = **std::move(result);
        } else {
          base::Log().warn("a base could not be taken and is tried again status={}",
                           result->status().ToString());
          base_retry_at_ = Clock::now() + kBaseRetry;
        }
      }
    }
    // It counts once everything up to it is here: times are told apart by when events came.
    if (pending_ && pending_->revision <= folder_->last_revision()) {
      const BackupBase base = *std::exchange(pending_, std::nullopt);
      if (base.revision + 1 < folder_->chain_first()) {
        base::Log().warn("a base is older than the chain and is taken again revision={}",
                         base.revision);
        KEEL_RETURN_IF_ERROR(base::PosixFileSystem().Remove(options_.dir + "/" + base.name));
        base_retry_at_ = Clock::now() + kRetry;
        return absl::OkStatus();
      }
      KEEL_RETURN_IF_ERROR(FlushIfDue(/*now=*/true));
      KEEL_RETURN_IF_ERROR(folder_->AddBase(base, WallNow()));
      KEEL_RETURN_IF_ERROR(folder_->Rotate(WallNow()));
      base::Log().info("took a base file={} revision={} bytes={} auth_revision={}", base.name,
                       base.revision, base.bytes, base.auth_revision);
      if (options_.keep > base::Duration::zero()) {
        KEEL_RETURN_IF_ERROR(
            folder_->Prune(WallNow() - duration_cast<microseconds>(options_.keep).count()));
      }
    }
    if (!pending_ && !taker_->busy() && Clock::now() >= base_retry_at_ && BaseIsDue()) {
      taker_->Start(folder_->NewBaseName());
    }
    return absl::OkStatus();
  }

  void PollAuth() {
    if (Clock::now() < next_auth_poll_) return;
    next_auth_poll_ = Clock::now() + kAuthPoll;
    client_.Call(etcdserverpb::AuthStatusRequest(), [auth = auth_](const auto& response) {
      if (response.ok()) auth->revision = response->authrevision();
    });
  }

  void Report(bool now) {
    if (!now && Clock::now() < next_report_) return;
    next_report_ = Clock::now() + options_.report_interval;
    if (heard_ == 0) return;
    const BackupBase* base = folder_->newest_base();
    base::Log().info("backup revision={} lag={:.1f}s bytes={} base={}", folder_->last_revision(),
                     static_cast<double>(WallNow() - heard_) / 1e6, FormatBytes(bytes_),
                     base == nullptr ? "none" : StrCat(base->revision));
  }

  struct Auth {
    std::atomic<uint64_t> revision{0};  // 0: not known
  };

  const BackupRunOptions& options_;
  kvstore::Client& client_;
  const std::unique_ptr<BackupFolder> folder_;
  const std::unique_ptr<BaseTaker> taker_;
  LeaseInquiry leases_;
  std::optional<BackupBase> pending_;  // complete, and ahead of the watch
  const std::shared_ptr<Auth> auth_ = std::make_shared<Auth>();
  WallMicros heard_ = 0;    // when nothing was missing
  WallMicros written_ = 0;  // the same, on the disk
  uint64_t bytes_ = 0;      // shipped
  Clock::time_point next_flush_, next_clock_, next_progress_, next_auth_poll_, next_report_,
      base_retry_at_;
};

}  // namespace

Outcome RunBackup(Session& session, const BackupRunOptions& options) {
  StopOnSignals();
  if (Outcome connected = session.Connect(); !connected.ok()) return connected;
  const auto status = session.client().Get(kvstore::kAllEnd);
  if (!status.ok()) return FailWith(status.status());
  const uint64_t cluster_id = status->header().cluster_id();
  auto folder = BackupFolder::Open(base::PosixFileSystem(), options.dir, cluster_id);
  if (!folder.ok()) return FailWith(folder.status());
  if (!(*folder)->damage().ok()) {
    base::Log().error("the backup is damaged; a new chain begins, with a new base status={}",
                      (*folder)->damage().ToString());
  }
  if ((*folder)->following() && (*folder)->last_revision() > status->header().revision()) {
    return Fail(kExitError, StrCat(options.dir, " holds revision ", (*folder)->last_revision(),
                                   ", and the cluster is at revision ", status->header().revision(),
                                   ": its history is another one now; begin a new folder"));
  }
  auto base_client = session.NewClient();
  if (!base_client.ok()) return FailWith(base_client.status());
  const bool resumed = (*folder)->following();
  base::Log().info("backup begins dir={} cluster={:x} {}={}", options.dir, cluster_id,
                   resumed ? "resumed_behind_revision" : "revision",
                   resumed ? (*folder)->last_revision() : status->header().revision());
  auto taker = std::make_unique<BaseTaker>(*std::move(base_client), session.flags.endpoints,
                                           options.dir, cluster_id);
  Runner runner(options, session.client(), *std::move(folder), std::move(taker));
  const absl::Status ended = runner.Run();
  session.Disconnect();
  return ended.ok() ? Success() : FailWith(ended);
}

}  // namespace keel::kvctl
