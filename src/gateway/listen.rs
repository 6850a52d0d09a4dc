//! Opens a listening socket, alone at its address or shared with other processes.
//!
//! Sharing (`SO_REUSEPORT`) is for several gateways side by side: the kernel deals new connections
//! out to them. It is not the way to replace one by another. Each of the sockets has a queue of its
//! own, and closing one resets every connection that waits in its queue: these clients see an error
//! although another process would have served them. Who wants to leave without that passes the
//! socket itself on (`handover`), queue and all.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// How many connections may wait until they are accepted. The kernel's own limit
/// (`net.core.somaxconn`, usually 4096) applies on top of it.
pub const BACKLOG: u32 = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenOptions {
    /// Whether other processes of the same user may listen at the same address. All of them have
    /// to say so, the first one included.
    pub reuse_port: bool,
    pub backlog: u32,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self { reuse_port: false, backlog: BACKLOG }
    }
}

/// Listens at `address`. Connections that an earlier process has closed do not keep it from that.
///
/// # Errors
/// What the operating system says.
pub fn listen(address: SocketAddr, options: ListenOptions) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(options.reuse_port)?;
    socket.bind(address)?;
    socket.listen(options.backlog)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    const LOOPBACK: ([u8; 4], u16) = ([127, 0, 0, 1], 0);
    const SHARED: ListenOptions = ListenOptions { reuse_port: true, backlog: BACKLOG };

    #[tokio::test]
    async fn an_address_belongs_to_one_unless_all_agree_to_share_it() {
        let alone = listen(LOOPBACK.into(), ListenOptions::default()).unwrap();
        let taken = alone.local_addr().unwrap();
        for second in [ListenOptions::default(), SHARED] {
            assert_eq!(listen(taken, second).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        }
        let first = listen(LOOPBACK.into(), SHARED).unwrap();
        let address = first.local_addr().unwrap();
        listen(address, SHARED).unwrap();
        assert_eq!(listen(address, ListenOptions::default()).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[tokio::test]
    async fn those_who_share_an_address_all_get_connections() {
        let first = listen(LOOPBACK.into(), SHARED).unwrap();
        let address = first.local_addr().unwrap();
        let second = listen(address, SHARED).unwrap();
        for (mark, listener) in [(1, first), (2, second)] {
            tokio::spawn(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    let _ = stream.write_all(&[mark]).await;
                }
            });
        }
        let mut seen = [false; 2];
        // Which one gets a connection is decided by a hash of its ports: some hundred reach both.
        for _ in 0..500 {
            let mark = TcpStream::connect(address).await.unwrap().read_u8().await.unwrap();
            seen[usize::from(mark) - 1] = true;
        }
        assert_eq!(seen, [true; 2]);
    }

    #[tokio::test]
    async fn an_address_that_cannot_be_listened_at_is_refused() {
        let elsewhere = "192.0.2.1:0".parse().unwrap();
        assert_eq!(
            listen(elsewhere, ListenOptions::default()).unwrap_err().kind(),
            io::ErrorKind::AddrNotAvailable
        );
    }
}
