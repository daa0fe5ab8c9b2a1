// Snapshots between members: a connection of their own, files in order, in
// frames of at most kChunkBytes, answered once all is checked and durable.
// Runs on the snapshot thread, which may wait for disks.
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "base/crc32c.h"
#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"
#include "raft/transport/raft.pb.h"
#include "raft/transport/shared.h"

namespace keel::raft {

namespace asio = boost::asio;
using base::FileSystem;
using base::StrCat;

namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr uint64_t kChunkBytes = 1 << 20;
constexpr int kFilesMax = 100'000;
// The receiver syncs what it got before it answers.
constexpr auto kResultLimit = std::chrono::minutes(5);

asio::awaitable<absl::Status> WriteFrame(std::shared_ptr<TransportShared> shared, SocketPtr socket,
                                         FrameType type, std::string_view payload) {
  FrameWriter writer;
  writer.Add(type, payload);
  std::vector<asio::const_buffer> buffers;
  for (const std::string_view part : writer.Parts()) buffers.emplace_back(part.data(), part.size());
  Deadline deadline(socket, shared->options.snapshot_stall_limit);
  const auto [ec, n] = co_await asio::async_write(*socket, buffers, kAwait);
  shared->counters.sent_bytes += n;
  if (ec) co_return absl::UnavailableError(StrCat("write: ", ec.message()));
  co_return absl::OkStatus();
}

// The next frame, which must be of this type. Its payload is valid until the next call.
asio::awaitable<absl::StatusOr<std::string_view>> ReadFrame(SocketPtr socket, FrameReader* reader,
                                                            FrameType type, base::Duration limit) {
  Deadline deadline(socket, limit);
  const absl::Status filled = co_await reader->Fill(socket);
  if (!filled.ok()) co_return filled;
  const auto frame = reader->Next();
  if (!frame.ok()) co_return frame.status();
  if (frame->type != type) {
    co_return absl::InvalidArgumentError(StrCat("a frame of type ", static_cast<int>(frame->type),
                                                " instead of ", static_cast<int>(type)));
  }
  co_return frame->payload;
}

asio::awaitable<absl::Status> SendFiles(std::shared_ptr<TransportShared> shared, SocketPtr socket,
                                        const Message& message, const std::string& dir) {
  FileSystem& fs = *shared->options.fs;
  const auto names = fs.List(dir);
  if (!names.ok()) co_return names.status();
  proto::SnapshotHeader header;
  ToProto(message, header.mutable_message());
  std::vector<std::unique_ptr<base::File>> files;
  for (const std::string& name : *names) {
    auto file = fs.Open(StrCat(dir, "/", name), FileSystem::Mode::kRead);
    if (!file.ok()) co_return file.status();
    const auto size = (*file)->Size();
    if (!size.ok()) co_return size.status();
    proto::SnapshotFile* entry = header.add_files();
    entry->set_name(name);
    entry->set_size_bytes(*size);
    files.push_back(*std::move(file));
  }
  absl::Status written =
      co_await WriteFrame(shared, socket, FrameType::kSnapshotHeader, header.SerializeAsString());
  if (!written.ok()) co_return written;
  proto::SnapshotEnd end;
  for (size_t i = 0; i < files.size(); ++i) {
    const uint64_t size = header.files(static_cast<int>(i)).size_bytes();
    uint32_t crc = 0;
    for (uint64_t at = 0; at < size;) {
      const auto chunk = files[i]->Read(at, std::min(kChunkBytes, size - at));
      if (!chunk.ok()) co_return chunk.status();
      if (chunk->empty()) {
        co_return absl::DataLossError(StrCat(files[i]->path(), " became shorter"));
      }
      crc = base::ExtendCrc32c(crc, *chunk);
      at += chunk->size();
      written = co_await WriteFrame(shared, socket, FrameType::kSnapshotData, *chunk);
      if (!written.ok()) co_return written;
    }
    end.add_file_crc32c(crc);
  }
  written = co_await WriteFrame(shared, socket, FrameType::kSnapshotEnd, end.SerializeAsString());
  if (!written.ok()) co_return written;

  FrameReader reader(shared->options.max_frame_bytes);
  const auto answer = co_await ReadFrame(socket, &reader, FrameType::kSnapshotResult, kResultLimit);
  if (!answer.ok()) co_return answer.status();
  proto::SnapshotResult result;
  if (!result.ParseFromArray(answer->data(), static_cast<int>(answer->size()))) {
    co_return absl::InvalidArgumentError("not a snapshot result");
  }
  if (!result.ok()) co_return absl::AbortedError(StrCat("the peer: ", result.error()));
  co_return absl::OkStatus();
}

bool IsPlainName(const std::string& name) {
  return !name.empty() && name.size() < 256 && name != "." && name != ".." &&
         name.find('/') == std::string::npos && name.find('\0') == std::string::npos;
}

// Receives into `dir`, which is empty. The message that came along.
asio::awaitable<absl::StatusOr<Message>> ReceiveFiles(std::shared_ptr<TransportShared> shared,
                                                      SocketPtr socket, Hello hello,
                                                      const std::string& dir) {
  FileSystem& fs = *shared->options.fs;
  const base::Duration limit = shared->options.snapshot_stall_limit;
  FrameReader reader(shared->options.max_frame_bytes);
  auto payload = co_await ReadFrame(socket, &reader, FrameType::kSnapshotHeader, limit);
  if (!payload.ok()) co_return payload.status();
  proto::SnapshotHeader header;
  if (!header.ParseFromArray(payload->data(), static_cast<int>(payload->size())) ||
      header.files_size() > kFilesMax) {
    co_return absl::InvalidArgumentError("not a snapshot header");
  }
  auto message = FromProto(header.mutable_message());
  if (!message.ok()) co_return message.status();
  if (message->type != MessageType::kSnapshot || message->snapshot.empty() ||
      message->from != hello.from || message->to != shared->options.self) {
    co_return absl::InvalidArgumentError("a snapshot stream without its message");
  }
  uint64_t total_bytes = 0;
  for (const proto::SnapshotFile& file : header.files()) {
    if (!IsPlainName(file.name())) co_return absl::InvalidArgumentError("a file name with a path");
    total_bytes += file.size_bytes();
  }
  const auto space = fs.GetSpace(dir);
  if (!space.ok()) co_return space.status();
  if (space->free_bytes < total_bytes) {
    co_return absl::ResourceExhaustedError(
        StrCat("a snapshot of ", total_bytes, " bytes; ", space->free_bytes, " are free in ", dir));
  }
  std::vector<uint32_t> crcs;
  for (const proto::SnapshotFile& entry : header.files()) {
    auto file = fs.Open(StrCat(dir, "/", entry.name()), FileSystem::Mode::kCreateEmpty);
    if (!file.ok()) co_return file.status();
    uint32_t crc = 0;
    for (uint64_t at = 0; at < entry.size_bytes();) {
      payload = co_await ReadFrame(socket, &reader, FrameType::kSnapshotData, limit);
      if (!payload.ok()) co_return payload.status();
      if (payload->empty() || payload->size() > entry.size_bytes() - at) {
        co_return absl::InvalidArgumentError("more data than the snapshot's header announced");
      }
      const absl::Status written = (*file)->Write(at, *payload);
      if (!written.ok()) co_return written;
      crc = base::ExtendCrc32c(crc, *payload);
      at += payload->size();
      shared->counters.received_bytes += payload->size();
    }
    const absl::Status synced = (*file)->Sync();
    if (!synced.ok()) co_return synced;
    crcs.push_back(crc);
  }
  payload = co_await ReadFrame(socket, &reader, FrameType::kSnapshotEnd, limit);
  if (!payload.ok()) co_return payload.status();
  proto::SnapshotEnd end;
  if (!end.ParseFromArray(payload->data(), static_cast<int>(payload->size())) ||
      !std::equal(crcs.begin(), crcs.end(), end.file_crc32c().begin(), end.file_crc32c().end())) {
    co_return absl::DataLossError("the snapshot's checksums are wrong");
  }
  const absl::Status synced = fs.SyncDir(dir);
  if (!synced.ok()) co_return synced;
  co_return *std::move(message);
}

}  // namespace

asio::awaitable<void> StreamSnapshot(std::shared_ptr<TransportShared> shared, std::string address,
                                     Message message, std::string dir,
                                     absl::AnyInvocable<void(absl::Status)> done) {
  auto socket = std::make_shared<Socket>(shared->snapshots.loop()->context());
  shared->snapshots.Track(socket);
  const NodeId peer = message.to;
  const base::TimePoint start = shared->snapshots.loop()->Now();
  absl::Status status = co_await ConnectToPeer(
      shared, &shared->snapshots, socket, address,
      Hello{StreamKind::kSnapshot, shared->options.cluster_id, shared->options.self, peer});
  if (status.ok()) status = co_await SendFiles(shared, socket, message, dir);
  shared->snapshots.Forget(socket);
  boost::system::error_code ignored;
  socket->close(ignored);
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
      shared->snapshots.loop()->Now() - start);
  if (status.ok()) {
    base::Log().info("sent snapshot to peer={:x} index={} took_ms={}", peer, message.snapshot.index,
                     took.count());
  } else if (!shared->snapshots.closed()) {
    base::Log().warn("snapshot to peer={:x} failed index={} error=\"{}\"", peer,
                     message.snapshot.index, status.ToString());
  }
  shared->DeliverDone(std::move(done), std::move(status));
}

asio::awaitable<void> ReceiveSnapshot(std::shared_ptr<TransportShared> shared, SocketPtr socket,
                                      Hello hello) {
  static std::atomic<uint64_t> count{0};  // Distinct folders, also for transports sharing one.
  shared->snapshots.Track(socket);
  FileSystem& fs = *shared->options.fs;
  const std::string dir = StrCat(shared->options.snapshot_dir, "/recv-", ++count);
  absl::Status status = fs.RemoveAll(dir);
  if (status.ok()) status = fs.CreateDirs(dir);
  Message message;
  if (status.ok()) {
    auto received = co_await ReceiveFiles(shared, socket, hello, dir);
    status = received.status();
    if (received.ok()) message = *std::move(received);
  }
  proto::SnapshotResult result;
  result.set_ok(status.ok());
  result.set_error(status.ToString());
  if (status.ok()) {
    base::Log().info("received snapshot from peer={:x} index={}", hello.from,
                     message.snapshot.index);
    shared->Heard(hello.from);
    shared->DeliverSnapshot(hello.from, std::move(message), dir);
  } else {
    (void)fs.RemoveAll(dir);
    if (!shared->snapshots.closed()) {
      base::Log().warn("snapshot from peer={:x} failed error=\"{}\"", hello.from,
                       status.ToString());
    }
  }
  (void)co_await WriteFrame(shared, socket, FrameType::kSnapshotResult, result.SerializeAsString());
  shared->snapshots.Forget(socket);
  boost::system::error_code ignored;
  socket->close(ignored);
}

}  // namespace keel::raft
