package place

import "syscall"

// peer is the user at the other end of a Unix socket.
func peer(fd int) (int, error) {
	credentials, err := syscall.GetsockoptUcred(fd, syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	if err != nil {
		return 0, err
	}
	return int(credentials.Uid), nil
}
