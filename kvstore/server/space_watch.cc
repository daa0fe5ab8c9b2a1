#include "kvstore/server/space_watch.h"

#include <algorithm>

#include "base/log.h"
#include "base/strings.h"
#include "kvstore/api/rpc.pb.h"
#include "kvstore/apply/command.pb.h"

namespace keel::kvstore {

namespace pb = etcdserverpb;
using base::StrCat;

namespace {

// Bytes between two looks: a quarter of the room left, so that looks grow denser as it runs
// out, but never one for each small write.
constexpr int64_t kBudgetMin = 64 << 10;
constexpr int64_t kBudgetMax = 64 << 20;
constexpr int64_t kBudgetPart = 4;

constexpr base::Duration kResumeEvery = std::chrono::seconds(1);

}  // namespace

SpaceWatch::SpaceWatch(ServerContext* context, Proposals* proposals, base::FileSystem* fs)
    : context_(context), proposals_(proposals), fs_(fs) {}

bool SpaceWatch::Admit(size_t bytes) {
  if (context_->no_space.load(std::memory_order_relaxed)) return false;
  if (short_.load(std::memory_order_relaxed)) return false;
  const auto spent = static_cast<int64_t>(bytes);
  if (budget_.fetch_sub(spent, std::memory_order_relaxed) > spent) return true;
  base::MutexLock lock(&mutex_);
  const bool room = Shortage(/*raised=*/false, /*fresh=*/true).empty();
  if (!room && !short_.exchange(true)) context_->loop->Post([this] { Tick(); });
  return room;
}

std::string SpaceWatch::Shortage(bool raised, bool fresh) {
  const ServerConfig& config = context_->config;
  if (const absl::Status store = context_->machine->background_status();
      store.code() == absl::StatusCode::kResourceExhausted) {
    return StrCat("the store cannot write: ", base::ToStd(store.message()));
  }
  int64_t room = kBudgetPart * kBudgetMax;
  if (const auto space = fs_->GetSpace(config.member_dir()); space.ok()) {
    free_bytes_.store(space->free_bytes, std::memory_order_relaxed);
    // On a small disk the whole reserve would be most of it.
    const uint64_t reserve = std::min(config.disk_reserve_bytes, space->total_bytes / 10);
    const uint64_t bound = raised ? reserve + reserve / 2 : reserve;
    if (space->free_bytes < bound) {
      return StrCat("the disk has ", space->free_bytes, " bytes free, and ", bound, " are wanted");
    }
    room = std::min(room, static_cast<int64_t>(space->free_bytes - bound));
  }
  if (config.quota_backend_bytes > 0) {
    const int64_t bytes =
        context_->machine->sizes(fresh ? base::Duration::zero() : KvStateMachine::kSizesMaxAge)
            .db_bytes;
    const int64_t bound = raised ? config.quota_backend_bytes / 10 * 9 : config.quota_backend_bytes;
    if (bytes >= bound)
      return StrCat("the store has ", bytes, " bytes, and ", bound, " are allowed");
    room = std::min(room, bound - bytes);
  }
  budget_.store(std::clamp(room / kBudgetPart, kBudgetMin, kBudgetMax), std::memory_order_relaxed);
  return "";
}

void SpaceWatch::Tick() {
  ResumeStore();
  if (proposing_) return;
  bool raised = false;
  bool own = false;
  for (const Alarm& alarm : context_->machine->alarms()) {
    if (alarm.member_id != context_->member_id || alarm.type != pb::NOSPACE) continue;
    raised = true;
    own = alarm.automatic;
  }
  std::string shortage;
  {
    base::MutexLock lock(&mutex_);
    shortage = Shortage(raised, /*fresh=*/short_.load());
    // Refused here from now on, whenever the alarm reaches the others. When it stands, it decides.
    short_.store(!shortage.empty());
  }
  if (!shortage.empty() && !raised) {
    base::Log().error("no space: writes stop until there is room; {}", shortage);
    Propose(true);
  } else if (shortage.empty() && own) {
    base::Log().info("there is room again: writes go on");
    Propose(false);
  }
}

void SpaceWatch::ResumeStore() {
  const base::TimePoint now = context_->loop->Now();
  if (resuming_ || now - resumed_at_ < kResumeEvery) return;
  if (!absl::IsResourceExhausted(context_->machine->background_status())) return;
  const ServerConfig& config = context_->config;
  if (const auto space = fs_->GetSpace(config.member_dir());
      space.ok() &&
      space->free_bytes < std::min(config.disk_reserve_bytes, space->total_bytes / 10)) {
    return;
  }
  resuming_ = true;
  resumed_at_ = now;
  context_->NextWorker().Post([this] {
    const absl::Status status = context_->machine->ResumeFlushes();
    context_->loop->Post([this, status] {
      resuming_ = false;
      // RocksDB may be busy with a recovery of its own, and the next tick looks again.
      base::Log().info("the disk of the store has room again; resume: {}", status.ToString());
    });
  });
}

void SpaceWatch::Propose(bool is_short) {
  kv::MemberSpace request;
  request.set_member_id(context_->member_id);
  request.set_short_(is_short);
  proposing_ = true;
  proposals_->Propose(CommandField::kMemberSpace, request.SerializeAsString(),
                      [this](absl::Status error, ApplyResult*) {
                        context_->loop->Post([this] { proposing_ = false; });
                        if (!error.ok())
                          base::Log().warn("alarm not delivered: {}", base::ToStd(error.message()));
                      });
}

}  // namespace keel::kvstore
