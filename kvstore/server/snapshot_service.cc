#include "kvstore/server/snapshot_service.h"

#include <set>
#include <thread>
#include <utility>

#include "base/log.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/strings.h"
#include "kvstore/api/rpc.pb.h"
#include "kvstore/recovery/snapshot_file.h"
#include "kvstore/server/auth_gate.h"
#include "kvstore/server/maintenance_service.h"
#include "kvstore/server/service.h"

namespace keel::kvstore {

namespace pb = etcdserverpb;
using base::StrCat;

namespace {

constexpr size_t kChunkBytes = 128 << 10;
// Given to a connection and not yet read by the client.
constexpr size_t kQueuedBytesMax = 256 << 10;
// Each may keep a whole former state of the store on disk.
constexpr size_t kStreamsMax = 4;
// A client that reads nothing for so long keeps disk from being given back.
constexpr base::Duration kStallLimit = std::chrono::minutes(5);

}  // namespace

struct SnapshotService::Shared {
  ServerContext* context = nullptr;
  base::FileSystem* fs = nullptr;

  base::Mutex mutex;
  base::CondVar changed;
  bool stopping ABSL_GUARDED_BY(mutex) = false;
  size_t streams ABSL_GUARDED_BY(mutex) = 0;
  uint64_t last ABSL_GUARDED_BY(mutex) = 0;

  std::string dir() const { return context->config.member_dir() + "/outgoing"; }
};

// One stream. The server holds it until OnEnd, its thread until it is done.
class SnapshotService::Stream final : public rpc::ServerStreamHandler,
                                      public std::enable_shared_from_this<Stream> {
 public:
  Stream(std::shared_ptr<Shared> shared, rpc::ServerCallPtr call)
      : shared_(std::move(shared)), call_(std::move(call)) {
    call_->SetWritableMark(kQueuedBytesMax);
  }

  void OnMessage(std::string_view) override {
    if (started_) return;
    started_ = true;
    AuthGate* const gate = shared_->context->auth_gate;
    if (!gate->on()) return Begin();
    gate->Admit(call_, CheckRoot,
                [self = shared_from_this()](rpc::ServerCallPtr, const Caller&) { self->Begin(); });
  }
  void OnHalfClose() override {
    if (!started_) call_->Finish(absl::InternalError("the request is missing"));
  }
  void OnWritable() override { Wake(); }
  void OnEnd() override {
    base::MutexLock lock(&shared_->mutex);
    ended_ = true;
    shared_->changed.NotifyAll();
  }

 private:
  void Begin() {
    const absl::StatusOr<uint64_t> number = Admit();
    if (!number.ok()) return call_->Finish(number.status());
    std::thread([self = shared_from_this(), dir = StrCat(shared_->dir(), "/", *number)] {
      self->Run(dir);
    }).detach();  // Stop waits for it
  }

  // The stream's number, from when on it counts.
  absl::StatusOr<uint64_t> Admit() {
    base::MutexLock lock(&shared_->mutex);
    if (shared_->stopping) return absl::UnavailableError("etcdserver: server stopped");
    if (shared_->streams == kStreamsMax) {
      return absl::ResourceExhaustedError(
          "etcdserver: too many snapshots are being sent at the same time");
    }
    ++shared_->streams;
    return ++shared_->last;
  }

  void Wake() {
    base::MutexLock lock(&shared_->mutex);
    shared_->changed.NotifyAll();
  }

  void Run(const std::string& dir) {
    const absl::Status status = Send(dir);
    if (absl::Status removed = shared_->fs->RemoveAll(dir); !removed.ok()) {
      base::Log().warn("snapshot not removed dir={} status={}", dir, removed.ToString());
    }
    if (!status.ok()) {
      base::Log().warn("snapshot not sent peer={} status={}", call_->peer(), status.ToString());
    }
    call_->Finish(status);
    base::MutexLock lock(&shared_->mutex);
    --shared_->streams;
    shared_->changed.NotifyAll();
  }

  absl::Status Send(const std::string& dir) {
    const auto begin = std::chrono::steady_clock::now();
    const ServerContext& context = *shared_->context;
    KEEL_RETURN_IF_ERROR(shared_->fs->CreateDirs(shared_->dir()));
    KEEL_RETURN_IF_ERROR(context.machine->ExportCheckpoint(dir));
    KEEL_ASSIGN_OR_RETURN(const auto checkpoint, Checkpoint::Open(*shared_->fs, dir));
    SnapshotHeader header = checkpoint->header();
    header.cluster_id = context.cluster_id;
    header.member_id = context.member_id;
    // Beside the sending, for it reads the whole store.
    Summary summary(*checkpoint, [self = shared_from_this()] { self->Wake(); });
    SnapshotProducer producer(*shared_->fs, dir, header, [&] { return AwaitSummary(summary); });
    base::Log().info("sending snapshot peer={} revision={} bytes={}", call_->peer(),
                     header.revision, producer.total_bytes());
    pb::SnapshotResponse response;
    response.set_version(kEtcdVersion);
    while (producer.sent_bytes() < producer.total_bytes()) {
      KEEL_RETURN_IF_ERROR(AwaitRoom());
      KEEL_ASSIGN_OR_RETURN(*response.mutable_blob(), producer.Read(kChunkBytes));
      response.set_remaining_bytes(producer.total_bytes() - producer.sent_bytes());
      call_->Send(response.SerializeAsString());
    }
    response.set_blob(producer.Hash());
    call_->Send(response.SerializeAsString());
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    base::Log().info("sent snapshot peer={} revision={} bytes={} seconds={:.3f}", call_->peer(),
                     header.revision, producer.total_bytes(), took.count());
    return absl::OkStatus();
  }

  // A checkpoint's summary, made by a thread of its own, which ends with this.
  class Summary {
   public:
    Summary(const Checkpoint& checkpoint, std::function<void()> on_done)
        : thread_([this, &checkpoint, on_done = std::move(on_done)] {
            result_ = checkpoint.Summarize(cancel_);
            done_.store(true);
            on_done();
          }) {}
    ~Summary() {
      cancel_.store(true);
      thread_.join();
    }

    bool done() const { return done_.load(); }
    // REQUIRES: done.
    const absl::StatusOr<SnapshotSummary>& result() const { return result_; }

   private:
    std::atomic<bool> cancel_{false};
    std::atomic<bool> done_{false};
    absl::StatusOr<SnapshotSummary> result_;
    std::thread thread_;
  };

  absl::StatusOr<SnapshotSummary> AwaitSummary(const Summary& summary) {
    base::MutexLock lock(&shared_->mutex);
    while (!shared_->stopping && !ended_ && !summary.done()) {
      shared_->changed.Wait(&shared_->mutex);
    }
    KEEL_RETURN_IF_ERROR(GoOn());
    return summary.result();
  }

  // REQUIRES: the mutex is held.
  absl::Status GoOn() const {
    if (ended_) return absl::CancelledError("the client is gone");
    if (shared_->stopping) return absl::UnavailableError("etcdserver: server stopped");
    return absl::OkStatus();
  }

  // Until the client has taken what it was sent.
  absl::Status AwaitRoom() {
    const auto give_up = std::chrono::steady_clock::now() + kStallLimit;
    base::MutexLock lock(&shared_->mutex);
    while (!shared_->stopping && !ended_ && call_->queued_bytes() > kQueuedBytesMax) {
      const auto left = give_up - std::chrono::steady_clock::now();
      if (left <= left.zero()) {
        return absl::DeadlineExceededError("etcdserver: the snapshot is not being read");
      }
      shared_->changed.WaitFor(&shared_->mutex, left);
    }
    return GoOn();
  }

  const std::shared_ptr<Shared> shared_;
  const rpc::ServerCallPtr call_;
  bool started_ = false;  // on the call's loop
  bool ended_ = false;    // under the mutex
};

SnapshotService::SnapshotService(ServerContext* context, base::FileSystem* fs)
    : shared_(std::make_shared<Shared>()) {
  shared_->context = context;
  shared_->fs = fs;
}

SnapshotService::~SnapshotService() { Stop(); }

void SnapshotService::Start() {
  if (absl::Status removed = shared_->fs->RemoveAll(shared_->dir()); !removed.ok()) {
    base::Log().warn("former snapshots not removed status={}", removed.ToString());
  }
}

void SnapshotService::RegisterOn(rpc::Server* server) {
  RegisterStream(server, "/etcdserverpb.Maintenance/Snapshot", shared_->context,
                 {.learner_may = true}, [shared = shared_](rpc::ServerCallPtr call) {
                   return std::make_shared<Stream>(shared, std::move(call));
                 });
}

void SnapshotService::Stop() {
  base::MutexLock lock(&shared_->mutex);
  shared_->stopping = true;
  shared_->changed.NotifyAll();
  while (shared_->streams > 0) shared_->changed.Wait(&shared_->mutex);
}

}  // namespace keel::kvstore
