
e-2click"s-2*i-20‚¼Ùòž4BhomeJr-2RmobileZDE`³j


sale 