#include "kvstore/server/space_watch.h"

#include <algorithm>

#include "base/log.h"
#include "base/strings.h"
#include "kvstore/api/rpc.pb.h"

namespace keel::kvstore {

namespace pb = etcdserverpb;
using base::StrCat;

SpaceWatch::SpaceWatch(ServerContext* context, Proposals* proposals, base::FileSystem* fs)
    : context_(context), proposals_(proposals), fs_(fs) {}

std::string SpaceWatch::Shortage(bool raised) {
  const ServerConfig& config = context_->config;
  if (const absl::Status store = context_->machine->background_status();
      store.code() == absl::StatusCode::kResourceExhausted) {
    return StrCat("the store cannot write: ", base::ToStd(store.message()));
  }
  if (const auto space = fs_->GetSpace(config.member_dir()); space.ok()) {
    free_bytes_ = space->free_bytes;
    // On a small disk the whole reserve would be most of it.
    const uint64_t reserve = std::min(config.disk_reserve_bytes, space->total_bytes / 10);
    const uint64_t bound = raised ? reserve + reserve / 2 : reserve;
    if (space->free_bytes < bound) {
      return StrCat("the disk has ", space->free_bytes, " bytes free, and ", bound, " are wanted");
    }
  }
  if (config.quota_backend_bytes > 0) {
    const int64_t bytes = context_->machine->sizes().db_bytes;
    const int64_t bound = raised ? config.quota_backend_bytes / 10 * 9 : config.quota_backend_bytes;
    if (bytes >= bound)
      return StrCat("the store has ", bytes, " bytes, and ", bound, " are allowed");
  }
  return "";
}

void SpaceWatch::Tick() {
  if (proposing_) return;
  bool raised = false;
  for (const Alarm& alarm : context_->machine->alarms()) {
    raised |= alarm.member_id == context_->member_id && alarm.type == pb::NOSPACE;
  }
  // An alarm that stood before this process started is taken for one of its predecessor's.
  if (!looked_) own_alarm_ = raised;
  looked_ = true;
  if (!raised) own_alarm_ = false;

  const std::string shortage = Shortage(raised);
  if (!shortage.empty() && !raised) {
    base::Log().error("no space: writes stop until there is room; {}", shortage);
    own_alarm_ = true;
    Propose(true);
  } else if (shortage.empty() && raised && own_alarm_) {
    base::Log().info("there is room again: writes go on");
    Propose(false);
  }
}

void SpaceWatch::Propose(bool activate) {
  pb::AlarmRequest request;
  request.set_action(activate ? pb::AlarmRequest::ACTIVATE : pb::AlarmRequest::DEACTIVATE);
  request.set_memberid(context_->member_id);
  request.set_alarm(pb::NOSPACE);
  proposing_ = true;
  proposals_->Propose(CommandField::kAlarm, request.SerializeAsString(),
                      [this](absl::Status error, ApplyResult*) {
                        context_->loop->Post([this] { proposing_ = false; });
                        if (!error.ok())
                          base::Log().warn("alarm not delivered: {}", base::ToStd(error.message()));
                      });
}

}  // namespace keel::kvstore
