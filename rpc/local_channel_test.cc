#include "rpc/local_channel.h"

#include <gtest/gtest.h>

#include "base/manual_loop.h"

namespace keel::rpc {
namespace {

// Echoes, and pauses reading after "pause" until the loop says otherwise.
class Chat final : public ServerStreamHandler {
 public:
  explicit Chat(ServerCallPtr call, std::vector<std::string>* log)
      : call_(std::move(call)), log_(log) {
    call_->SetWritableMark(4);
  }
  void OnMessage(std::string_view message) override {
    call_->Send("re: " + std::string(message));
    if (message == "pause") call_->PauseReading();
    if (message == "bye") call_->Finish(absl::NotFoundError("gone"));
  }
  void OnHalfClose() override { call_->Finish(absl::OkStatus()); }
  void OnWritable() override { log_->push_back("writable"); }
  void OnEnd() override { log_->push_back(call_->cancelled() ? "cancelled" : "ended"); }

 private:
  const ServerCallPtr call_;
  std::vector<std::string>* const log_;
};

class LocalChannelTest : public ::testing::Test {
 protected:
  LocalChannelTest() {
    server_.RegisterUnary("/t.T/Echo", [](ServerCallPtr call) {
      call->Reply(std::string(call->request()) + std::string(call->Metadata("suffix")));
    });
    server_.RegisterUnary("/t.T/Later", [this](ServerCallPtr call) {
      call->OnCancel([this] { log_.push_back("cancel"); });
      kept_ = std::move(call);
    });
    server_.RegisterStream("/t.T/Chat", [this](ServerCallPtr call) {
      kept_ = call;
      return std::make_shared<Chat>(std::move(call), &log_);
    });
  }
  LocalStream::Events Record() {
    return {.on_message = [this](std::string message) { got_.push_back(std::move(message)); },
            .on_end = [this](absl::Status status) { got_.push_back(status.ToString()); }};
  }

  base::ManualLoop loop_;
  Server server_{{}};
  LocalChannel channel_{server_, loop_};
  ServerCallPtr kept_;
  std::vector<std::string> log_, got_;
};

TEST_F(LocalChannelTest, UnaryCallsAreAnsweredOnTheLoop) {
  absl::StatusOr<std::string> answer = absl::UnknownError("none yet");
  channel_.Call("/t.T/Echo", "hi", {{"suffix", "!"}}, [&](auto got) { answer = std::move(got); });
  EXPECT_FALSE(answer.ok());
  loop_.RunUntilIdle();
  EXPECT_EQ(*answer, "hi!");
  channel_.Call("/t.T/Nothing", "", {}, [&](auto got) { answer = std::move(got); });
  EXPECT_TRUE(absl::IsUnimplemented(answer.status()));
}

TEST_F(LocalChannelTest, AnUnansweredCallThatIsDroppedFails) {
  absl::StatusOr<std::string> answer = absl::UnknownError("none yet");
  channel_.Call("/t.T/Later", "", {}, [&](auto got) { answer = std::move(got); });
  kept_ = nullptr;
  loop_.RunUntilIdle();
  EXPECT_TRUE(absl::IsInternal(answer.status())) << answer.status();
}

TEST_F(LocalChannelTest, DestroyingTheChannelCancelsCalls) {
  bool answered = false;
  {
    LocalChannel channel(server_, loop_);
    channel.Call("/t.T/Later", "", {}, [&](auto) { answered = true; });
  }
  EXPECT_EQ(log_, std::vector<std::string>{"cancel"});
  EXPECT_TRUE(kept_->cancelled());
  kept_->Reply(std::string("late"));  // A no-op.
  loop_.RunUntilIdle();
  EXPECT_FALSE(answered);
}

TEST_F(LocalChannelTest, StreamsCarryMessagesBothWaysAndEnd) {
  auto stream = channel_.OpenStream("/t.T/Chat", {}, Record());
  stream->Send("a");
  stream->Send("bye");
  stream->Send("after the end");
  loop_.RunUntilIdle();
  EXPECT_EQ(got_, (std::vector<std::string>{"re: a", "re: bye", "NOT_FOUND: gone"}));
  EXPECT_EQ(log_.back(), "ended");
}

TEST_F(LocalChannelTest, PausingHoldsBackEachDirection) {
  auto stream = channel_.OpenStream("/t.T/Chat", {}, Record());
  stream->Pause();
  stream->Send("pause");
  stream->Send("held");
  stream->CloseSend();
  loop_.RunUntilIdle();
  EXPECT_TRUE(got_.empty());
  EXPECT_GT(kept_->queued_bytes(), 4u);
  stream->Resume();
  EXPECT_EQ(got_, std::vector<std::string>{"re: pause"});
  EXPECT_EQ(log_, std::vector<std::string>{"writable"});
  kept_->ResumeReading();
  loop_.RunUntilIdle();
  EXPECT_EQ(got_, (std::vector<std::string>{"re: pause", "re: held", "OK"}));
}

TEST_F(LocalChannelTest, DroppingAStreamCancelsIt) {
  auto stream = channel_.OpenStream("/t.T/Chat", {}, Record());
  stream.reset();
  EXPECT_EQ(log_, std::vector<std::string>{"cancelled"});
  EXPECT_TRUE(got_.empty());
}

}  // namespace
}  // namespace keel::rpc
