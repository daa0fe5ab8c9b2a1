#include "raft/driver/node.h"

#include <future>

#include "base/check.h"
#include "base/log.h"
#include "base/status.h"
#include "raft/driver/driver.h"
#include "raft/driver/node_impl.h"

namespace keel::raft {
namespace {

class NodeImpl final : public Node {
 public:
  NodeImpl(base::Loop* loop, Transport* transport, std::shared_ptr<Driver> driver)
      : loop_(loop), transport_(transport), driver_(std::move(driver)) {}

  // Without Stop: as a crash would leave it.
  ~NodeImpl() override {
    if (stopped_) return;
    transport_->Stop();
    driver_->Abandon();
    loop_->Dispatch([driver = driver_] { driver->Halt(); });
  }

  void Propose(Payload data, Refused refused) override {
    driver_->Propose(std::move(data), std::move(refused));
  }

  void ProposeConfChange(ConfChange change, Refused refused) override {
    loop_->Dispatch(
        [driver = driver_, change = std::move(change), refused = std::move(refused)]() mutable {
          driver->ProposeConfChange(change, std::move(refused));
        });
  }

  void ReadIndex(ReadDone done) override {
    loop_->Dispatch([driver = driver_, done = std::move(done)]() mutable {
      driver->ReadIndex(std::move(done));
    });
  }

  void TransferLeadership(NodeId to, Refused done) override {
    loop_->Dispatch([driver = driver_, to, done = std::move(done)]() mutable {
      driver->TransferLeadership(to, std::move(done));
    });
  }

  NodeId leader() const override { return driver_->leader.load(); }
  Term term() const override { return driver_->term.load(); }
  Role role() const override { return driver_->role.load(); }
  Index commit_index() const override { return driver_->commit_index.load(); }
  Index applied_index() const override { return driver_->applied_index.load(); }

  void GetStatus(absl::AnyInvocable<void(Status)> done) override {
    loop_->Dispatch([driver = driver_, done = std::move(done)]() mutable {
      driver->GetStatus(std::move(done));
    });
  }

  void Stop(base::Duration transfer_limit) override {
    KEEL_CHECK(!stopped_, "stopped twice");
    stopped_ = true;
    const auto driver = driver_;
    Wait(transfer_limit + kStepLimit, [driver, transfer_limit](std::function<void()> done) {
      driver->HandOver(transfer_limit, std::move(done));
    });
    transport_->Stop();
    Wait(kStepLimit, [driver](std::function<void()> done) { driver->Close(std::move(done)); });
    driver->Abandon();
    Wait(kStepLimit, [driver](std::function<void()> done) {
      driver->Halt();
      done();
    });
    driver->StopOwnLoops();
  }

 private:
  static constexpr base::Duration kStepLimit = std::chrono::seconds(10);

  void Wait(base::Duration limit, std::function<void(std::function<void()>)> step) {
    WaitOn(loop_, limit, std::move(step));
  }

  base::Loop* const loop_;
  Transport* const transport_;
  const std::shared_ptr<Driver> driver_;
  bool stopped_ = false;
};

}  // namespace

bool WaitOn(base::Loop* loop, base::Duration limit,
            std::function<void(std::function<void()>)> step) {
  auto done = std::make_shared<std::promise<void>>();
  auto ended = done->get_future();
  loop->Post([step, done] { step([done] { done->set_value(); }); });
  if (ended.wait_for(limit) == std::future_status::ready) return true;
  base::Log().warn("raft: a step of stopping did not end in time");
  return false;
}

std::unique_ptr<Node> MakeNode(base::Loop* loop, Transport* transport,
                               std::shared_ptr<Driver> driver) {
  return std::make_unique<NodeImpl>(loop, transport, std::move(driver));
}

absl::StatusOr<std::unique_ptr<Node>> Node::Open(NodeOptions options, Transport* transport,
                                                 StateMachine* state_machine) {
  auto driver = std::make_shared<Driver>(options, transport);
  KEEL_RETURN_IF_ERROR(driver->Open(state_machine));
  options.loop->Post([driver] { driver->Start(); });
  return MakeNode(options.loop, transport, std::move(driver));
}

}  // namespace keel::raft
