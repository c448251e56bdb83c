#pragma once

#include "catalogue.hpp"
#include "ledger.hpp"
#include "operation.hpp"
#include "random.hpp"
#include "search_terms.hpp"

#include <trunkline/connection.hpp>

#include <boost/asio/awaitable.hpp>

#include <stdexcept>

namespace trunkline::stress {

/// The server answered, and the answer cannot be right: another post than the one asked for, ranks out of order.
class wrong_answer : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// What operations work on. All of it outlives them.
struct operation_context {
    const catalogue& posts;
    const search_terms& terms;
    ledger& book;
};

/// Runs one operation on a borrowed connection, enters writes in the ledger and checks the answer. Throws `error` or
/// `wrong_answer`.
boost::asio::awaitable<void> perform(operation which, connection& on, operation_context with, random_numbers& random);

}  // namespace trunkline::stress
