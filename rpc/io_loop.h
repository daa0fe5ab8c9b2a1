// What the connections of one loop share: scratch memory for reading and
// writing (so that an idle connection costs little), the deadline wheel, and
// the list of connections that have something to write at the end of the turn.
//
// Thread-safety: the loop only, but for construction.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "base/asio_loop.h"
#include "rpc/deadline_wheel.h"
#include "rpc/out_buffer.h"

namespace keel::rpc::internal {

class Http2Connection;

class IoLoop : public std::enable_shared_from_this<IoLoop> {
 public:
  static std::shared_ptr<IoLoop> Create(base::AsioLoop& loop);

  base::AsioLoop& loop() { return loop_; }
  boost::asio::io_context& context() { return loop_.context(); }
  DeadlineWheel& wheel() { return wheel_; }
  std::vector<char>& read_buffer() { return read_buffer_; }
  OutBuffer& scratch() { return scratch_; }

  // Has `connection` flushed at the end of this turn of the loop.
  void FlushLater(std::shared_ptr<Http2Connection> connection);
  // Flushes all of them now.
  void FlushNow();

 private:
  explicit IoLoop(base::AsioLoop& loop);

  // The posted flush: run, or dropped with its loop.
  struct FlushTurn {
    explicit FlushTurn(std::shared_ptr<IoLoop> owner) : io(std::move(owner)) {}
    FlushTurn(FlushTurn&&) = default;
    ~FlushTurn();
    std::shared_ptr<IoLoop> io;
  };

  base::AsioLoop& loop_;
  DeadlineWheel wheel_;
  std::vector<char> read_buffer_;
  OutBuffer scratch_;
  std::vector<std::shared_ptr<Http2Connection>> dirty_;
  std::vector<std::shared_ptr<Http2Connection>> flushing_;
  bool flush_posted_ = false;
};

}  // namespace keel::rpc::internal
