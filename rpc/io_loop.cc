#include "rpc/io_loop.h"

#include <boost/asio/post.hpp>
#include <utility>

#include "rpc/http2_connection.h"

namespace keel::rpc::internal {

namespace {
constexpr size_t kReadBufferBytes = 256 * 1024;
}

std::shared_ptr<IoLoop> IoLoop::Create(base::AsioLoop& loop) {
  std::shared_ptr<IoLoop> io(new IoLoop(loop));
  io->wheel_.set_owner(io);
  return io;
}

IoLoop::IoLoop(base::AsioLoop& loop)
    : loop_(loop), wheel_(loop.context()), read_buffer_(kReadBufferBytes) {}

void IoLoop::FlushLater(std::shared_ptr<Http2Connection> connection) {
  dirty_.push_back(std::move(connection));
  if (flush_posted_) return;
  flush_posted_ = true;
  // Behind every handler that is ready by now: what they answer joins in.
  boost::asio::post(context(), [turn = FlushTurn(shared_from_this())] { turn.io->FlushNow(); });
}

IoLoop::FlushTurn::~FlushTurn() {
  if (io == nullptr) return;
  io->flush_posted_ = false;
  // A loop that stopped never runs it: connections hold this, and this must not hold them.
  const auto unflushed = std::exchange(io->dirty_, {});
}

void IoLoop::FlushNow() {
  // Callbacks during a flush may make further connections dirty.
  while (!dirty_.empty()) {
    flushing_.swap(dirty_);
    for (const auto& connection : flushing_) connection->Flush();
    flushing_.clear();
  }
}

}  // namespace keel::rpc::internal
