#include "kvstore/server/level_keeper.h"

#include <algorithm>
#include <vector>

#include "base/log.h"
#include "base/strings.h"
#include "kvstore/apply/command.pb.h"
#include "kvstore/server/maintenance_service.h"
#include "kvstore/server/peer.pb.h"

namespace keel::kvstore {

using keel::kv::PeerRequest;

namespace {

constexpr base::Duration kAnswerLimit = std::chrono::seconds(2);
// Who upgrades a cluster takes longer than this for a member.
constexpr base::Duration kInterval = std::chrono::seconds(5);

}  // namespace

LevelKeeper::LevelKeeper(ServerContext* context, Proposals* proposals, LeaderCalls* calls)
    : context_(context), proposals_(proposals), calls_(calls) {
  calls_->HandleAnywhere(PeerRequest::LEVEL, [this](std::string_view, LeaderCalls::Reply reply) {
    keel::kv::MemberLevel level;
    level.set_level(context_->config.levels.own);
    reply(level.SerializeAsString());
  });
}

void LevelKeeper::Tick() {
  const uint32_t own = context_->config.levels.own;
  if (own <= context_->machine->cluster_level() || !context_->IsLeader()) return;
  const base::TimePoint now = context_->loop->Now();
  if (waiting_ > 0 || proposing_ || now < next_) return;
  next_ = now + kInterval;
  lowest_ = own;
  all_answered_ = true;
  std::vector<uint64_t> others;
  for (const Member& member : context_->machine->members().List()) {
    if (member.id != context_->member_id) others.push_back(member.id);
  }
  if (others.empty()) return Raise(own);
  waiting_ = others.size();
  for (const uint64_t id : others) {
    calls_->AskMember(
        id, PeerRequest::LEVEL, "", kAnswerLimit,
        [this, id](absl::StatusOr<std::string> body) { OnAnswer(id, std::move(body)); });
  }
}

void LevelKeeper::OnAnswer(uint64_t member, absl::StatusOr<std::string> body) {
  keel::kv::MemberLevel level;
  if (body.ok() && level.ParseFromString(*body)) {
    lowest_ = std::min(lowest_, level.level());
  } else {
    all_answered_ = false;  // down, or of a release that does not know the question
  }
  if (--waiting_ > 0) return;
  if (all_answered_ && lowest_ > context_->machine->cluster_level() && context_->IsLeader()) {
    Raise(lowest_);
  }
}

void LevelKeeper::Raise(uint32_t level) {
  base::Log().info("every member knows the commands of level={}; raising the cluster's from={}",
                   level, context_->machine->cluster_level());
  keel::kv::ClusterVersion version;
  version.set_version(kEtcdVersion);
  version.set_level(level);
  proposing_ = true;
  proposals_->Propose(
      CommandField::kClusterVersion, version.SerializeAsString(),
      [this](absl::Status, ApplyResult*) { context_->loop->Post([this] { proposing_ = false; }); });
}

}  // namespace keel::kvstore
