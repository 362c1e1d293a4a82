//! Ports that nobody uses.

use std::net::{Ipv4Addr, TcpListener};

/// A first port for a cluster: it, the next two, and the three 100 above are free now.
pub(crate) fn first_free_port() -> u16 {
    // Below the ports that Linux gives to outgoing connections (32768 and up, ip_local_port_range).
    let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    loop {
        let first = u16::try_from(chassis::chance::number_in(20_000..32_000)).unwrap();
        let mut needed = (0..3).flat_map(|n| [first + n, first + 100 + n]);
        if needed.all(free) {
            return first;
        }
    }
}
