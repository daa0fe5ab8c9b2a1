#include "raft/driver/memory_state_machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/strings.h"

namespace keel::raft {
namespace {

class Texts final : public MemoryStateMachine {
 public:
  using MemoryStateMachine::MemoryStateMachine;
  void ApplyCommand(const Entry& entry) override { text += *entry.data; }
  std::string Save() const override { return text; }
  absl::Status Load(std::string_view saved) override {
    if (saved == "unreadable") return absl::InvalidArgumentError("as asked");
    text = saved;
    return absl::OkStatus();
  }
  std::string text;
};

class MemoryStateMachineTest : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove_all(dir_); }

  static CommittedEntry Command(Index index, std::string data) {
    CommittedEntry committed;
    committed.entry = {3, index, EntryType::kNormal,
                       std::make_shared<const std::string>(std::move(data))};
    return committed;
  }
  static CommittedEntry Change(Index index, ConfState after) {
    CommittedEntry committed = Command(index, "bytes of a change");
    committed.entry.type = EntryType::kConfChange;
    committed.conf_after = std::move(after);
    return committed;
  }
  void Flip(size_t at) {
    std::string bytes = *base::ReadFile(base::PosixFileSystem(), file_);
    bytes.at(at) = static_cast<char>(bytes[at] ^ 1);
    ASSERT_TRUE(base::WriteFileAtomic(base::PosixFileSystem(), file_, bytes).ok());
  }

  const std::string dir_ =
      base::StrCat(testing::TempDir(), "/keel_memory_state_machine_", ::getpid());
  const std::string file_ = dir_ + "/deep/state";
};

TEST_F(MemoryStateMachineTest, StartsEmptyAndComesBackAsFlushed) {
  const ConfState conf{{1, 2}, {3}, {1, 4}, {4}, true};
  {
    Texts texts(file_);
    const auto start = texts.Open();
    ASSERT_TRUE(start.ok()) << start.status();
    EXPECT_EQ(start->index, 0u);
    ASSERT_TRUE(texts.Apply(std::vector{Command(1, ""), Command(2, "a"), Change(3, conf)}).ok());
    EXPECT_EQ(texts.DurableIndex(), 0u);
    texts.Flush();
    EXPECT_EQ(texts.DurableIndex(), 3u);
    ASSERT_TRUE(texts.Apply(std::vector{Command(4, "lost by the crash")}).ok());
  }
  Texts texts(file_);
  const auto back = texts.Open();
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->index, 3u);
  EXPECT_EQ(back->term, 3u);
  EXPECT_EQ(back->conf, conf);
  EXPECT_EQ(texts.text, "a");
  EXPECT_EQ(texts.DurableIndex(), 3u);
}

TEST_F(MemoryStateMachineTest, SnapshotReplacesEverything) {
  Texts sender(file_);
  ASSERT_TRUE(sender.Open().ok());
  ASSERT_TRUE(sender.Apply(std::vector{Command(1, "a"), Command(2, "b")}).ok());
  const std::string folder = dir_ + "/snapshot";
  std::filesystem::create_directories(folder);
  const auto covered = sender.WriteSnapshot(folder);
  ASSERT_TRUE(covered.ok()) << covered.status();
  EXPECT_EQ(covered->index, 2u);

  Texts receiver(dir_ + "/other");
  ASSERT_TRUE(receiver.Open().ok());
  ASSERT_TRUE(receiver.Apply(std::vector{Command(1, "x")}).ok());
  EXPECT_TRUE(absl::IsDataLoss(receiver.RestoreSnapshot(folder, {7, 3, {}})));
  const ConfState conf{{1, 2, 3}, {}, {}, {}, false};
  ASSERT_TRUE(receiver.RestoreSnapshot(folder, {2, 3, conf}).ok());
  EXPECT_EQ(receiver.text, "ab");
  EXPECT_EQ(receiver.DurableIndex(), 2u);
  Texts again(dir_ + "/other");
  const auto back = again.Open();
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->conf, conf);
  EXPECT_EQ(again.text, "ab");
}

TEST_F(MemoryStateMachineTest, DamageIsReportedWhereverItLies) {
  {
    Texts texts(file_);
    ASSERT_TRUE(texts.Open().ok());
    ASSERT_TRUE(texts.Apply(std::vector{Command(1, "abc")}).ok());
    texts.Flush();
  }
  const auto size = std::filesystem::file_size(file_);
  for (size_t at = 0; at < size; ++at) {
    Flip(at);
    EXPECT_TRUE(absl::IsDataLoss(Texts(file_).Open().status())) << "byte " << at;
    Flip(at);
  }
  EXPECT_TRUE(Texts(file_).Open().ok());
  for (size_t keep = 0; keep < size; ++keep) {
    std::filesystem::resize_file(file_, keep);
    EXPECT_TRUE(absl::IsDataLoss(Texts(file_).Open().status())) << keep << " bytes";
    Texts whole(dir_ + "/whole");
    ASSERT_TRUE(whole.Apply(std::vector{Command(1, "abc")}).ok());
    whole.Flush();
    std::filesystem::copy_file(dir_ + "/whole", file_,
                               std::filesystem::copy_options::overwrite_existing);
  }
}

TEST_F(MemoryStateMachineTest, StateThatTheUserCannotReadStopsTheMember) {
  Texts texts(file_);
  ASSERT_TRUE(texts.Open().ok());
  ASSERT_TRUE(texts.Apply(std::vector{Command(1, "unreadable")}).ok());
  texts.Flush();
  EXPECT_TRUE(absl::IsInvalidArgument(Texts(file_).Open().status()));
}

}  // namespace
}  // namespace keel::raft
