#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace trunkline::test {

/// One acquire as its caller saw it. Moments are numbers from one `event_counter`; 0: it did not come to that.
struct leasing {
    std::uint64_t called = 0;    ///< just before the call
    std::uint64_t waiting = 0;   ///< just after the call, which does not wait
    std::uint64_t told = 0;      ///< first thing in the completion
    std::uint64_t returned = 0;  ///< just before the lease is given back
    int session = 0;             ///< the connection that was lent; 0: none
};

/// Numbers the moments of all threads: of two moments one after the other, the later has the higher number.
class event_counter {
public:
    std::uint64_t next() noexcept { return ++last_; }

private:
    std::atomic<std::uint64_t> last_{0};
};

/// Looks for what no order of the calls, the hand-overs and the returns within the seen moments can explain: a connection
/// that two held, more than `connections` held at once, a caller that was served although one who waited before its call
/// was not. Empty if there is nothing.
///
/// A hand-over lies after the call, after the return of that connection's last lease, and before its completion. So an
/// inversion is certain when the later caller's completion comes before the return of what the earlier one gets; one that
/// lies within those moments cannot be seen from outside, and is none for anybody outside.
[[nodiscard]] std::string contradiction_in(const std::vector<leasing>& seen, std::size_t connections);

}  // namespace trunkline::test
