#include <utility>
#include <vector>

#include "base/check.h"
#include "base/manual_loop.h"
#include "base/memory_files.h"
#include "bench/guard/cases.h"
#include "raft/core/testing/trio.h"
#include "raft/driver/node_trio.h"
#include "raft/log/log.h"
#include "raft/transport/codec.h"

namespace keel::bench {
namespace {

constexpr int kBatch = 16;
constexpr size_t kEntryBytes = 256;

raft::Payload Data() { return std::make_shared<const std::string>(kEntryBytes, 'x'); }

// As a leader sends them under load: one append message with several entries.
std::vector<raft::Message> Messages() {
  raft::Message message;
  message.type = raft::MessageType::kAppend;
  message.from = 1;
  message.to = 2;
  message.term = 7;
  message.index = 1'000'000;
  message.log_term = 7;
  message.commit = 999'990;
  for (int i = 1; i <= kBatch; ++i) {
    message.entries.push_back(
        {7, 1'000'000 + static_cast<raft::Index>(i), raft::EntryType::kNormal, Data()});
  }
  std::vector<raft::Message> messages;
  messages.push_back(std::move(message));
  return messages;
}

class EncodeFrame final : public Workload {
 public:
  void Run(int operations) override {
    for (int done = 0; done < operations; done += kBatch) {
      raft::FrameWriter writer;
      writer.AddMessages(messages_);
      KEEL_CHECK(!writer.Parts().empty() && writer.bytes() > kBatch * kEntryBytes);
    }
  }

 private:
  const std::vector<raft::Message> messages_ = Messages();
};

class DecodeFrame final : public Workload {
 public:
  DecodeFrame() {
    const std::vector<raft::Message> messages = Messages();
    raft::FrameWriter writer;
    writer.AddMessages(messages);
    for (const std::string_view part : writer.Parts()) frame_ += part;
  }
  void Run(int operations) override {
    for (int done = 0; done < operations; done += kBatch) {
      const auto frame = raft::ParseFrame(frame_, 64 << 20);
      KEEL_CHECK(frame.ok() && frame->bytes == frame_.size());
      std::vector<raft::Message> messages;
      KEEL_CHECK(raft::DecodeMessages(frame->payload, &messages).ok());
      KEEL_CHECK(messages.size() == 1 && messages[0].entries.size() == kBatch);
    }
  }

 private:
  std::string frame_;
};

class Replicate final : public Workload {
 public:
  void Run(int operations) override {
    for (int done = 0; done < operations; done += kBatch) {
      for (int i = 0; i < kBatch; ++i) KEEL_CHECK(trio_.rafts[0]->Propose(data_).ok());
      trio_.Settle();
    }
    KEEL_CHECK(trio_.rafts[2]->commit() == trio_.rafts[0]->commit());
  }

 private:
  raft::Trio trio_;
  const raft::Payload data_ = Data();
};

class ReadIndex final : public Workload {
 public:
  void Run(int operations) override {
    for (int done = 0; done < operations; done += kBatch) {
      for (int i = 0; i < kBatch; ++i) KEEL_CHECK(trio_.rafts[0]->ReadIndex(++context_).ok());
      trio_.Settle();
    }
    KEEL_CHECK(trio_.reads == context_);
  }

 private:
  raft::Trio trio_;
  uint64_t context_ = 0;
};

class ProposeToApply final : public Workload {
 public:
  ProposeToApply() { KEEL_CHECK(trio_.led()); }
  void Run(int operations) override {
    for (int done = 0; done < operations; done += kBatch) trio_.Round(data_, kBatch);
    KEEL_CHECK(trio_.applied(2) == trio_.applied(0));
  }

 private:
  raft::NodeTrio trio_;
  const raft::Payload data_ = Data();
};

class AppendToLog final : public Workload {
 public:
  AppendToLog() {
    raft::LogOptions options;
    options.dir = "/log";
    options.fs = &files_;
    options.loop = options.write_loop = options.fill_loop = &loop_;
    options.segment_bytes = 1 << 20;
    options.random = [] { return 1; };
    options.on_error = [](absl::Status status) { KEEL_CHECK(false, status.ToString()); };
    log_ = *raft::Log::Open(options);
    loop_.RunUntilIdle();
  }
  ~AppendToLog() override {
    log_.reset();
    loop_.RunUntilIdle();
  }
  void Run(int operations) override {
    for (int done = 0; done < operations; done += kBatch) {
      raft::LogWrite write;
      write.entries = log_->SpareEntries();
      for (int i = 0; i < kBatch; ++i) {
        write.entries.push_back({1, ++last_, raft::EntryType::kNormal, data_});
      }
      log_->Append(std::move(write), [this, last = last_] { durable_ = last; });
      loop_.RunUntilIdle();
      if (last_ % 8192 == 0) log_->Truncate(last_);
    }
    KEEL_CHECK(durable_ == last_);
  }

 private:
  base::MemoryFiles files_;
  base::ManualLoop loop_;
  std::unique_ptr<raft::Log> log_;
  const raft::Payload data_ = Data();
  raft::Index last_ = 0;
  raft::Index durable_ = 0;
};

template <typename T>
std::unique_ptr<Workload> Make() {
  return std::make_unique<T>();
}

constexpr Case kCases[] = {
    {"raft/encode", "an entry of 256 bytes, written into a frame of 16", kBatch, 16000,
     Make<EncodeFrame>},
    {"raft/decode", "an entry of 256 bytes, read from a frame of 16", kBatch, 16000,
     Make<DecodeFrame>},
    {"raft/commit", "a proposal, until the cores of three members have it committed", kBatch, 8000,
     Make<Replicate>},
    {"raft/read-index", "a linearizable read, confirmed by a quorum of cores", kBatch, 8000,
     Make<ReadIndex>},
    {"raft/append", "an entry of 256 bytes appended to the log, on files in memory", kBatch, 8000,
     Make<AppendToLog>},
    {"raft/apply", "a proposal, until three Nodes have applied it: core, log, transport in memory",
     kBatch, 4000, Make<ProposeToApply>},
};

}  // namespace

std::span<const Case> RaftCases() { return kCases; }

}  // namespace keel::bench
