// Many deadlines on one timer: a hashed timing wheel (Varghese and Lauck 1987,
// scheme 6). Arming and disarming are O(1) and allocate nothing, which is what
// a deadline per call needs; the price is the tick of 10 ms by which a deadline
// may fire late. It never fires early.
//
// Thread-safety: one loop. An Entry that is destroyed is disarmed. The wheel's
// owner must outlive it (the pending timer holds `owner` weakly).
#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <memory>

#include "base/loop.h"

namespace keel::rpc::internal {

class DeadlineWheel {
 public:
  struct Tag;
  using Hook =
      boost::intrusive::list_base_hook<boost::intrusive::tag<Tag>,
                                       boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

  class Entry : public Hook {
   public:
    virtual ~Entry() = default;
    virtual void OnDeadline() = 0;

    bool armed() const { return Hook::is_linked(); }
    void Disarm() {
      if (armed()) Hook::unlink();
    }

   private:
    friend class DeadlineWheel;
    base::TimePoint at_;
  };

  explicit DeadlineWheel(boost::asio::io_context& context);

  // Calls entry.OnDeadline() once `at` has passed. Re-arms an armed entry.
  void Arm(Entry& entry, base::TimePoint at);

  // What the timer's handler holds on to; set once before the first Arm.
  void set_owner(std::weak_ptr<void> owner) { owner_ = std::move(owner); }

  // Disarms everything and cancels the timer.
  void Stop();

  static base::TimePoint Now();

 private:
  using List = boost::intrusive::list<Entry, boost::intrusive::base_hook<Hook>,
                                      boost::intrusive::constant_time_size<false>>;
  static constexpr int64_t kSlots = 1024;

  void Insert(Entry& entry);
  void Wake();
  void StartTimer(int64_t tick);

  boost::asio::steady_timer timer_;
  std::weak_ptr<void> owner_;
  std::array<List, kSlots> slots_;
  int64_t visited_tick_;           // every slot up to this tick has been looked at
  int64_t wake_tick_ = INT64_MAX;  // the timer is set to this tick
};

}  // namespace keel::rpc::internal
