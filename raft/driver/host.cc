#include "raft/driver/host.h"

#include "base/check.h"
#include "base/log.h"
#include "base/status.h"
#include "raft/driver/host_core.h"
#include "raft/driver/node_impl.h"

namespace keel::raft {
namespace {

class HostImpl final : public Host {
 public:
  HostImpl(base::Loop* loop, Transport* transport, std::shared_ptr<HostCore> core)
      : loop_(loop), transport_(transport), core_(std::move(core)) {}

  ~HostImpl() override {
    if (stopped_) return;
    transport_->Stop();
    loop_->Dispatch([core = core_] { core->Halt(); });
  }

  std::vector<GroupId> Groups() const override { return core_->Groups(); }

  absl::StatusOr<std::unique_ptr<Node>> OpenGroup(GroupOptions options,
                                                  StateMachine* state_machine) override {
    KEEL_ASSIGN_OR_RETURN(std::shared_ptr<Driver> driver, core_->OpenGroup(options, state_machine));
    loop_->Dispatch([driver] { driver->Start(); });
    return MakeNode(loop_, driver->transport(), driver);
  }

  absl::Status RemoveGroup(GroupId group, absl::AnyInvocable<void()> done) override {
    return core_->RemoveGroup(group, std::move(done));
  }

  HostCounters counters() const override { return core_->counters(); }
  SharedLogStats log_stats() const override { return core_->log_stats(); }

  void Stop() override {
    KEEL_CHECK(!stopped_, "stopped twice");
    stopped_ = true;
    transport_->Stop();
    const auto core = core_;
    WaitOn(loop_, std::chrono::seconds(10), [core](std::function<void()> done) {
      core->Halt();
      done();
    });
    core_->StopOwnLoops();
  }

 private:
  base::Loop* const loop_;
  Transport* const transport_;
  const std::shared_ptr<HostCore> core_;
  bool stopped_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Host>> Host::Open(HostOptions options, Transport* transport) {
  base::Loop* const loop = options.loop;
  auto core = std::make_shared<HostCore>(std::move(options), transport);
  KEEL_RETURN_IF_ERROR(core->Open());
  loop->Post([core] { core->Start(); });
  return absl::StatusOr<std::unique_ptr<Host>>(
      std::make_unique<HostImpl>(loop, transport, std::move(core)));
}

}  // namespace keel::raft
