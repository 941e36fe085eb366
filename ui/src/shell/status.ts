import { queryOptions } from '@tanstack/react-query';
import { api } from '../api/client';
import type { Status } from '../api/types';

export const statusQuery = queryOptions({ queryKey: ['status'], queryFn: () => api<Status>('/status'), refetchInterval: 15_000, staleTime: 10_000 });
